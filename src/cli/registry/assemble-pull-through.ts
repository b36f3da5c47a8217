import { proxyCredentialsName } from '../../config/complete-upstreams.ts'
import type { Config } from '../../config.ts'
import { OwnRegistry } from '../../registry/mirror/own-registry.ts'
import { createProxiedBlobs } from '../../registry/pull-through/blobs/proxied-blobs.ts'
import {
  type ConfiguredUpstream,
  ConfiguredUpstreams,
} from '../../registry/pull-through/configured-upstreams.ts'
import { PullThrough } from '../../registry/pull-through/pull-through.ts'
import { RequestedNames } from '../../registry/pull-through/requested-names.ts'
import { pullThroughRequester } from '../../registry/pull-through/requester.ts'
import { UpstreamEvents } from '../../registry/pull-through/upstream-events.ts'
import type { NamedCredentials } from '../../storage/remote/credentials/configured-credentials.ts'
import { hopIdOf, newHopId } from '../../storage/remote/hops.ts'
import { openRemoteRegistries } from '../open-remote-registries.ts'
import type { OpenedPullThrough, PullThroughContext } from './pull-through.ts'
import { openPullThroughSpool } from './pull-through-spool.ts'

function proxyCredentials({ proxyCredentials: given }: Config): NamedCredentials[] {
  if (given === undefined) return []
  const { registry, ...login } = given
  const credentials = { kind: 'password', ...login } as const
  return [
    { name: proxyCredentialsName, registry, repositories: ['**'], secret: { kind: 'known', credentials } },
  ]
}

/** Only where there are upstreams. */
export async function assemblePullThrough(
  { config, stores, metrics, log }: PullThroughContext,
  configured: readonly ConfiguredUpstream[],
  stack: AsyncDisposableStack,
): Promise<OpenedPullThrough> {
  const { blobs, metadata } = stores
  const self = hopIdOf(await metadata.agreeOn('hop-id', newHopId()))
  const events = stack.use(new UpstreamEvents({ records: metadata, log }))
  const upstreams = new ConfiguredUpstreams(
    configured,
    stack.use(openRemoteRegistries(config, proxyCredentials(config))),
    {
      asked: (upstream, outcome) => metrics.asked(upstream, outcome),
      quota: (upstream, { remaining }) => metrics.quota(upstream, remaining),
      blocked: (upstream, block) => events.blocked(upstream, block),
      freed: upstream => events.freed(upstream),
    },
    self,
  )
  metrics.observe(() => upstreams.states())
  const { spool, settings } = await openPullThroughSpool(config, stack)
  const own = new OwnRegistry({ blobs, metadata, by: pullThroughRequester })
  const proxied = stack.use(
    createProxiedBlobs({
      records: metadata,
      blobs,
      own: repository => own.repository(repository),
      spool,
      log,
      settings,
      observer: {
        answered: ({ name }, answer) => {
          metrics.blob(name, answer)
          metrics.answered('blob', answer === 'hit' ? 'hit' : 'miss')
        },
        fetched: ({ name }, outcome, bytes) => {
          metrics.blobFetched(name, outcome)
          metrics.pulled('blob', bytes)
        },
      },
    }),
  )
  const layer = stack.use(
    new PullThrough({
      upstreams,
      self,
      records: metadata,
      blobs: proxied,
      log,
      observer: {
        manifest: (_upstream, answer) => metrics.answered('manifest', answer),
        fetched: (_upstream, bytes) => metrics.pulled('manifest', bytes),
        sent: (_upstream, kind, bytes) => metrics.pushed(kind, bytes),
        stale: ({ name }) => metrics.stale(name),
      },
    }),
  )
  const signatures = layer.signatures(metadata, blobs)
  return {
    parts: { names: new RequestedNames(configured, metadata), layer },
    signatures: { records: signatures, blobs: signatures.blobs },
  }
}
