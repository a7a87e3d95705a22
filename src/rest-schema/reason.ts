import * as z from 'zod'
import { REASONS, type Reason } from '../domain/reason.ts'

const [first, ...rest] = Object.keys(REASONS) as [Reason, ...Reason[]]
export const reasonSchema = z
  .enum([first, ...rest])
  .meta({ id: 'Reason', description: 'Why, from a closed list' })
