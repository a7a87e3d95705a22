import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseRepositoryUrl } from './repository-url.ts'

test.each([
  ['/srv/git/web.git', { kind: 'file', path: '/srv/git/web.git' }],
  ['/srv/git/with space', { kind: 'file', path: '/srv/git/with space' }],
  ['file:///srv/git/web%20x.git', { kind: 'file', path: '/srv/git/web x.git' }],
  ['https://example.org/web.git', { kind: 'http', protocol: 'https', url: 'https://example.org/web.git' }],
  ['http://127.0.0.1:8080/web', { kind: 'http', protocol: 'http', url: 'http://127.0.0.1:8080/web' }],
  ['ssh://git@example.org:22/web.git', { kind: 'ssh', url: 'ssh://git@example.org:22/web.git' }],
  ['git@example.org:team/web.git', { kind: 'ssh', url: 'git@example.org:team/web.git' }],
])('%s is an address', (text, address) => {
  expect(parseRepositoryUrl(text)).toEqual(address)
})

test.each([
  'ext::sh -c "touch /tmp/x"',
  'fd::17/x',
  'EXT::sh',
  'remote-helper::x',
  '-oProxyCommand=id',
  '--upload-pack=id',
  'ssh://-oProxyCommand=id/x',
  'ssh://git@-oProxyCommand=id/x',
  'ssh://-x@example.org/x',
  'git@-oProxyCommand=id:x',
  '-x@example.org:path',
  'git@example.org:-x',
  'https://user:secret@example.org/web.git',
  'https://token@example.org/web.git',
  'ssh://git:secret@example.org/web.git',
  'http://example.org/web.git',
  'https://example.org/web.git?x=1',
  'https://example.org/#x',
  'https://example.org/',
  'git://example.org/web.git',
  'ftp://example.org/web.git',
  'file://other-host/srv/x',
  'file:///srv/%00x',
  'file:///srv/%2fx',
  'relative/path',
  './x',
  '../x',
  '/srv/../etc',
  '//srv/x',
  ' /srv/x',
  '/srv/x\n',
  '/srv/\u0000x',
  'C:\\repo',
  '',
])('%j is refused', (text) => {
  expect(() => parseRepositoryUrl(text)).toThrow(expect.objectContaining({ code: 'repository_refused' }))
})

test('U15: a refused address does not repeat the login that it holds', () => {
  for (const text of [
    'https://user:hunter2@example.org/x',
    'ssh://git:hunter2@example.org/x',
    'ftp://u:hunter2@h/x',
  ]) {
    expect(() => parseRepositoryUrl(text)).toThrow(/^(?!.*hunter2).*is refused/s)
  }
})

test('U14: any text is an address without an option, a helper or a login in it, or is refused', () => {
  const nasty = fc.constantFrom(
    'ext::',
    '-',
    '--',
    '://',
    '@',
    ':',
    '/',
    '..',
    '\0',
    '\n',
    '%2f',
    'ssh',
    'file',
    'h',
  )
  const text = fc
    .array(fc.oneof(nasty, fc.string({ maxLength: 5 })), { maxLength: 8 })
    .map((parts) => parts.join(''))
  fc.assert(
    fc.property(text, (candidate) => {
      let address: ReturnType<typeof parseRepositoryUrl>
      try {
        address = parseRepositoryUrl(candidate)
      } catch (error) {
        expect(error).toMatchObject({ code: 'repository_refused' })
        return
      }
      const given = address.kind === 'file' ? address.path : address.url
      expect(given.startsWith('-') || /^[a-z0-9+.-]*::/i.test(given) || given.includes('\0')).toBe(false)
      if (address.kind === 'file') expect(given.startsWith('/')).toBe(true)
    }),
    { numRuns: 3_000 },
  )
})
