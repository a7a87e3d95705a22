const PREFIX = 'swarm/'
const SLUG_LENGTH_MAX = 48
/** A title may be megabytes long; what lies beyond cannot matter to the slug. */
const TITLE_LENGTH_READ = 400

/**
 * The branch of a ticket, such as `swarm/web-12-fix-login`: lower-case ASCII letters, digits and single hyphens,
 * whatever the title holds. The key alone makes it unique; a title without any such letter gives `swarm/web-12`.
 */
export function toBranchName(ticket: { readonly key: string; readonly title: string }): string {
  const key = toWords(ticket.key)
  if (key === '') throw new Error(`a branch needs a ticket key with a letter or digit`)
  const slug = cutAtWord(toWords(ticket.title.slice(0, TITLE_LENGTH_READ)), SLUG_LENGTH_MAX)
  return slug === '' ? `${PREFIX}${key}` : `${PREFIX}${key}-${slug}`
}

/** Whether a branch is one of ours: only these are ever pushed. */
export function isSwarmBranch(branch: string): boolean {
  return branch.length <= 200 && /^swarm\/[a-z0-9]+(?:-[a-z0-9]+)*$/.test(branch)
}

/** Whether `refs/heads/<name>` is a well-formed ref that no command mistakes for an option or an expression. */
export function isBranchName(name: string): boolean {
  if (name === '' || name === '@' || name.length > 200 || name.startsWith('-')) return false
  if (/[\u0000-\u0020\u007f~^:?*[\\]|\.\.|@\{|\/\/|\.$|^\/|\/$/.test(name) || !name.isWellFormed())
    return false
  return name.split('/').every((part) => !part.startsWith('.') && !part.endsWith('.lock'))
}

function toWords(text: string): string {
  return text
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
    .slice(0, 120)
    .replace(/-$/, '')
}

function cutAtWord(slug: string, lengthMax: number): string {
  if (slug.length <= lengthMax) return slug
  const cut = slug.slice(0, lengthMax + 1)
  const atWord = cut.lastIndexOf('-')
  return atWord > lengthMax / 2 ? cut.slice(0, atWord) : cut.slice(0, lengthMax)
}
