const decoder = new TextDecoder('utf-8', { fatal: true })

/** A file name for people, logs and JSON: one line, nothing that a terminal or a page would act on. */
export function toPrintableName(bytes: Uint8Array): string {
  return escapeHidden(decode(bytes).replace(/[\n\t]/g, (character) => (character === '\n' ? '\\n' : '\\t')))
}

/** Text of several lines for people: newlines and tabs stay, other control characters are written as escapes. */
export function toPrintableText(bytes: Uint8Array): string {
  return escapeHidden(decode(bytes).replaceAll('\r\n', '\n'))
}

/** Whether a name shows as it is. */
export function isPlainName(bytes: Uint8Array): boolean {
  const name = toPrintableName(bytes)
  return !name.includes('\\') && name.trim() === name && !name.startsWith('-')
}

function decode(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch {
    return decodeLine(bytes)
  }
}

/** Keeps what is UTF-8 and writes every other byte as `\xNN`. */
function decodeLine(bytes: Uint8Array): string {
  const lossy = new TextDecoder().decode(bytes)
  if (bytes.length > 65_536) return lossy
  let text = ''
  for (let at = 0; at < bytes.length; ) {
    const length = characterLength(bytes, at)
    const part = bytes.subarray(at, at + Math.max(length, 1))
    text += length === 0 ? `\\x${toHex(bytes[at] ?? 0)}` : new TextDecoder().decode(part)
    at += Math.max(length, 1)
  }
  return text
}

/** Bytes of the UTF-8 character at this place; 0 when there is none. */
function characterLength(bytes: Uint8Array, at: number): number {
  for (const length of [1, 2, 3, 4]) {
    try {
      decoder.decode(bytes.subarray(at, at + length))
      return at + length <= bytes.length ? length : 0
    } catch {}
  }
  return 0
}

/** Control characters, and the marks that reorder or hide text. */
function escapeHidden(text: string): string {
  return text.replace(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (character) => {
      const code = character.charCodeAt(0)
      return code < 0x100 ? `\\x${toHex(code)}` : `\\u${code.toString(16).padStart(4, '0')}`
    },
  )
}

function toHex(byte: number): string {
  return byte.toString(16).padStart(2, '0')
}
