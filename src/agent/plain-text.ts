/** Text from an agent made fit for events and people: one line, no control characters, bounded. */
export function toPlainText(value: unknown, charsMax = 1_000): string {
  const text = typeof value === 'string' ? value : value === undefined ? '' : String(JSON.stringify(value))
  const plain = text
    .slice(0, charsMax * 2)
    .replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, ' ')
    .toWellFormed()
    .trim()
  return plain.length <= charsMax ? plain : `${plain.slice(0, charsMax - 1).toWellFormed()}…`
}
