import { parseDigest } from '../../storage/digest.ts'
import type { ContentFacts } from '../../storage/metadata/event-records.ts'
import { parseReference } from '../../storage/reference.ts'
import type { PullLog } from '../events/pull-recorder.ts'
import type { Handler } from '../handler.ts'
import type { Reply } from '../reply.ts'
import { type RegistryRequest, repositoryOf } from '../request.ts'
import { requesterOf } from '../requester.ts'
import type { PullNoter } from '../retention/pull-notes.ts'

/** A range is a pull, too, and so is a redirect to the store. Nothing is pulled by who has it already (304). */
const pulled: ReadonlySet<number> = new Set([200, 206, 307])

/**
 * Tells of what `handler` gives away. That is before it is sent: nobody can know whether a client has read all of an
 * answer, least of all where it was redirected to.
 */
export function recordPulls(
  kind: 'manifest' | 'blob',
  handler: Handler,
  pulls: PullLog | undefined,
): Handler {
  if (pulls === undefined) return handler
  return async request => {
    const reply = await handler(request)
    if (pulled.has(reply.status))
      pulls.record({ kind, action: 'pull', at: new Date(), ...factsOf(kind, request, reply) })
    return reply
  }
}

/** In use is also what somebody asks for who has it already. */
const used: ReadonlySet<number> = new Set([200, 304])

/** Tells of the manifests that `handler` answers for. */
export function notePulls(handler: Handler, notes: PullNoter | undefined): Handler {
  if (notes === undefined) return handler
  return async request => {
    const reply = await handler(request)
    const digest = reply.headers?.['Docker-Content-Digest']
    if (used.has(reply.status) && digest !== undefined) notes.note(repositoryOf(request), parseDigest(digest))
    return reply
  }
}

function factsOf(
  kind: 'manifest' | 'blob',
  request: RegistryRequest,
  { status, headers = {}, content }: Reply,
): Omit<ContentFacts, 'kind' | 'action'> {
  const facts = {
    repository: repositoryOf(request),
    digest: parseDigest(headers['Docker-Content-Digest'] ?? ''),
    size: status === 200 && content !== undefined ? sizeOf(content) : undefined,
    by: requesterOf(request),
  }
  if (kind === 'blob') return facts
  const reference = parseReference(request.params['reference'] ?? '')
  return {
    ...facts,
    mediaType: content?.type,
    tag: reference.kind === 'tag' ? reference.tag : undefined,
  }
}

function sizeOf(content: NonNullable<Reply['content']>): number | undefined {
  return 'bytes' in content ? content.bytes.length : content.length
}
