import * as z from 'zod'
import { named } from './common.ts'

export const live = named('Live', z.strictObject({ status: z.literal('live') }))

export const ready = named(
  'Ready',
  z.strictObject({
    status: z.enum(['ready', 'not ready']),
    pools: z.record(z.string(), z.string()).describe('By name: ready, or why it is not.'),
  }),
)

export const about = named(
  'About',
  z.strictObject({
    version: z.string(),
    pools: z.array(
      z.strictObject({
        name: z.string(),
        default: z.boolean().describe('Whether it is the one of requests that name none.'),
        open: z.boolean(),
        description: z.string().describe('Where its chains and clones are, or why it is not open.'),
      }),
    ),
  }),
)

export const anything = named('OpenApi', z.looseObject({ openapi: z.string() }))
