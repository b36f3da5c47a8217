import type { Handler } from '../handler.ts'
import { json } from '../reply.ts'

/** GET /v2/: tells clients that this is a registry (distribution-spec, "Determining Support"). */
export const getBase: Handler = () => json(200, {})
