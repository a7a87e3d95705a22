/** `node cell.ts <request>`: one cell in a process of its own, so that none is measured warm from another one. */
import * as z from 'zod'
import { measureCell } from './measure.ts'
import { PEERS } from './peer-list.ts'

const requestSchema = z.object({
  peer: z.string(),
  variant: z.string(),
  address: z.string(),
  directory: z.string(),
  measure: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('latency'), arrivalCount: z.number(), pauseMsMax: z.number() }),
    z.object({ kind: z.literal('drain'), concurrency: z.number(), jobCount: z.number() }),
  ]),
})

const { peer: name, measure, ...input } = requestSchema.parse(JSON.parse(process.argv[2] ?? ''))
const peer = PEERS.find((one) => one.name === name)
if (peer === undefined) throw new Error(`there is no peer ${name}`)
process.stdout.write(JSON.stringify(await measureCell(peer, measure, input)))
