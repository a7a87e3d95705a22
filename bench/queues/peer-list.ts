import { bullmq } from './bullmq.ts'
import type { Peer } from './contract.ts'
import { graphileWorker } from './graphile-worker.ts'
import { swarm } from './swarm.ts'

/** The first variant of the first one is what ratios are to. Another one is a file and a line here. */
export const PEERS: readonly Peer[] = [swarm, graphileWorker, bullmq]
