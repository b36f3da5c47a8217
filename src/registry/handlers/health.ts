import type { Metadata } from '../../storage/metadata/metadata.ts'
import type { Handler } from '../handler.ts'
import { json } from '../reply.ts'

/** The process answers; asks nothing of anybody else, so that a database outage restarts no process. */
export const getLive: Handler = () => json(200, { status: 'live' })

/** Requests can be served. @throws DomainError `unavailable` when the database does not answer. */
export function createReadyHandler(metadata: Pick<Metadata, 'ping'>): Handler {
  return async ({ signal }) => {
    await metadata.ping({ signal })
    return json(200, { status: 'ready' })
  }
}
