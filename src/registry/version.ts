/** Orders versions such as `2`, `1.10.0` and `1.10.0-beta.1`: numbers by value, a pre-release before its release. */
export function compareVersions(a: string, b: string): number {
  const left = split(a)
  const right = split(b)
  const byNumbers = compareParts(left.numbers, right.numbers, '0')
  if (byNumbers !== 0) return byNumbers
  if (left.preRelease === '' || right.preRelease === '') {
    return Number(left.preRelease === '') - Number(right.preRelease === '')
  }
  return compareParts(left.preRelease.split('.'), right.preRelease.split('.'), '')
}

function split(version: string): { numbers: readonly string[]; preRelease: string } {
  const [core = '', ...rest] = (version.split('+')[0] ?? '').split('-')
  return { numbers: core.split('.'), preRelease: rest.join('-') }
}

function compareParts(a: readonly string[], b: readonly string[], absent: string): number {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const [x, y] = [a[i] ?? absent, b[i] ?? absent]
    if (x === y) continue
    if (/^\d+$/.test(x) && /^\d+$/.test(y) && Number(x) !== Number(y)) return Number(x) - Number(y)
    return x < y ? -1 : 1
  }
  return 0
}

/** The newest by version; of equal ones the one recorded last. */
export function findNewest<T extends { readonly version: string; readonly createdAt: number }>(
  records: readonly T[],
): T | undefined {
  return [...records].sort((a, b) => compareVersions(b.version, a.version) || b.createdAt - a.createdAt)[0]
}
