/** One message of an event stream (HTML standard, server-sent events). */
export type StreamMessage = { readonly id: string; readonly event: string; readonly data: string }

const LINE_CHARS_MAX = 16 * 1024 * 1024

/** Splits a stream of bytes into whole lines, without their ends; a torn last line is dropped. */
export async function* readLines(chunks: AsyncIterable<Uint8Array>): AsyncIterable<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true })
    if (rest.length > LINE_CHARS_MAX) throw new Error('a line of the stream is too long')
    const lines = rest.split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) yield line.endsWith('\r') ? line.slice(0, -1) : line
  }
}

/** The messages of an event stream; comments (the server's sign of life) are none. */
export async function* readMessages(chunks: AsyncIterable<Uint8Array>): AsyncIterable<StreamMessage> {
  let id = ''
  let event = 'message'
  let data: string[] = []
  for await (const line of readLines(chunks)) {
    if (line === '') {
      if (data.length > 0) yield { id, event, data: data.join('\n') }
      event = 'message'
      data = []
      continue
    }
    const { field, value } = parseLine(line)
    if (field === 'data') data.push(value)
    else if (field === 'event') event = value
    else if (field === 'id') id = value
  }
}

function parseLine(line: string): { field: string; value: string } {
  const colon = line.indexOf(':')
  if (colon === -1) return { field: line, value: '' }
  const value = line.slice(colon + 1)
  return { field: line.slice(0, colon), value: value.startsWith(' ') ? value.slice(1) : value }
}
