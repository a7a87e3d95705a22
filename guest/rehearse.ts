import { rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { Exec } from './exec.ts'
import { unpackTree } from './unpack-tree.ts'

const PLACE = '/swarm/attempt/.rehearsal'
/** There is no such program: everything of a start happens but the program itself */
const ABSENT_PROGRAM = '/swarm/attempt/.rehearsal/absent'

/**
 * Does once, with nothing of a ticket, what the first minute of every ticket does: unpacks a file, starts a program.
 * What is compiled and loaded for that is there when it counts. Leaves nothing.
 */
export async function rehearse(): Promise<void> {
  await unpackTree(Readable.from([makeTar('{}')]), PLACE)
  await startAbsentProgram()
  await rm(PLACE, { recursive: true })
}

async function startAbsentProgram(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<unknown>()
  const request = { op: 'exec', execId: 'rehearsal', argv: [ABSENT_PROGRAM], stdin: 'closed' } as const
  const exec = new Exec(request, resolve)
  exec.start({ argv: request.argv, cwd: '/', env: {} }, { stdin: Buffer.alloc(0) })
  await promise
}

/** One file in the oldest format: name, mode, owner, group, size, time, checksum, kind. */
function makeTar(text: string): Buffer {
  const header = Buffer.alloc(512)
  const fields = { 0: 'file', 100: '0000644', 108: '0000000', 116: '0000000', 136: '00000000000', 156: '0' }
  for (const [at, value] of Object.entries(fields)) header.write(value, Number(at))
  header.write(text.length.toString(8).padStart(11, '0'), 124)
  header.fill(' ', 148, 156)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  const body = Buffer.alloc(512)
  body.write(text)
  return Buffer.concat([header, body, Buffer.alloc(1024)])
}
