import { expect, test } from 'vitest'
import { toNewStateDir } from './find-state-dir.ts'

const places = { home: '/home/ada', workingDirectory: '/here', isRoot: false }

test('a new configuration gets the state directory that was said, else the one of its user', () => {
  const machine = { SWARM_CONFIG: '/etc/swarm/config.yaml' }
  expect(toNewStateDir({ environment: machine, places, globals: {} })).toBe('/home/ada/.local/state/swarm')
  expect(toNewStateDir({ environment: machine, places, globals: { stateDir: 'mine' } })).toBe('/here/mine')
  expect(toNewStateDir({ environment: { SWARM_STATE_DIR: '~/s' }, places, globals: {} })).toBe('/home/ada/s')
})
