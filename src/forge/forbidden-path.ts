/** Characters that HFS+ ignores in names, so that `.g\u200cit` is `.git` there. */
const HFS_IGNORED = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g

/**
 * The part of a path that some file system takes for a repository's own folder, or for a way out of the tree:
 * empty, `.`, `..`, and `.git` in any spelling (case, `.git.`, `.git `, `git~1`, `.git::$DATA`, backslashes,
 * characters that HFS+ ignores). `undefined` for a path that is fine.
 */
export function findForbiddenPart(path: Uint8Array): string | undefined {
  return Buffer.from(path).toString('utf8').split('/').find(isForbidden)
}

function isForbidden(part: string): boolean {
  if (part === '' || part === '.' || part === '..') return true
  return part.split('\\').some(isDotGit)
}

function isDotGit(name: string): boolean {
  const folded = name
    .replace(HFS_IGNORED, '')
    .toLowerCase()
    .replace(/:.*$/s, '')
    .replace(/[. ]+$/, '')
  return folded === '.git' || /^\.?git~\d+$/.test(folded)
}
