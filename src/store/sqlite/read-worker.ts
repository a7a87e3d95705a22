/** Thread that reads: one connection that cannot write, one statement at a time. */
import { parentPort, workerData } from 'node:worker_threads'
import { openConnection } from './connection.ts'
import type { ReadReply, ReadRequest } from './read-worker-client.ts'

const port = parentPort
if (port === null) throw new Error('this file is the body of a worker thread')

const { path } = workerData as { readonly path: string }
const connection = openConnection(path, { isReadOnly: true })
connection.exec('pragma query_only = on')

port.on('message', (request: ReadRequest) => {
  port.postMessage(answer(request))
})

function answer({ id, sql, parameters }: ReadRequest): ReadReply {
  try {
    return { id, rows: connection.run(sql, parameters).rows }
  } catch (error) {
    const errcode = error instanceof Error && 'errcode' in error ? Number(error.errcode) : 0
    return { id, message: error instanceof Error ? error.message : String(error), errcode }
  }
}
