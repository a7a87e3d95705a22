import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { pack } from 'tar-stream'

/** A tar stream of one file of the host under another name; errors arrive on the stream. */
export async function packFile(path: string, name: string): Promise<Readable> {
  const { size } = await stat(path)
  const tar = pack()
  const entry = tar.entry({ name, size, mode: 0o644 }, (error) => {
    if (error) tar.destroy(error)
    else tar.finalize()
  })
  pipeline(createReadStream(path), entry).catch((error: Error) => tar.destroy(error))
  return Readable.from(tar as AsyncIterable<Buffer>, { objectMode: false })
}
