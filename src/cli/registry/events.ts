import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { Config } from '../../config.ts'
import { createEventMetrics, type EventMetrics } from '../../metrics/event-metrics.ts'
import type { Logger } from '../../log.ts'
import { cloudEventsEnvelope } from '../../registry/events/cloud-events.ts'
import { startDelivery } from '../../registry/events/delivery.ts'
import { defaultDeliveryTimes } from '../../registry/events/delivery-turn.ts'
import { distributionEnvelope } from '../../registry/events/distribution-envelope.ts'
import type { EventEndpoint } from '../../registry/events/endpoint.ts'
import type { Envelope } from '../../registry/events/envelope.ts'
import { eventBatches } from '../../registry/events/event-filter.ts'
import type { Metadata } from '../../storage/metadata/metadata.ts'

/** How long metrics wait to hear how far events have come. */
const progressMs = 2_000

export interface RunningEvents extends AsyncDisposable {
  readonly metrics: EventMetrics
}

/**
 * Tells the endpoints of events, in one process of each machine; those of several machines take turns. Endpoints that
 * are new are told of everything from now on.
 *
 * @throws DomainError `unavailable`.
 */
export async function startEvents(config: Config, metadata: Metadata, log: Logger): Promise<RunningEvents> {
  await using stack = new AsyncDisposableStack()
  const names = config.events.endpoints.map(({ name }) => name)
  const metrics = createEventMetrics(async () => {
    // Metrics are wanted most of all when the database does not answer.
    const signal = AbortSignal.timeout(progressMs)
    const endpoints = await metadata.listEndpoints({ signal })
    const { newest } = await metadata.eventBounds({ signal })
    return { newest, endpoints: endpoints.filter(({ name }) => names.includes(name)) }
  })
  await metadata.registerEndpoints(names)
  const holder = randomUUID()
  // It takes long to load, and most registries have none.
  const { WebhookSender } =
    names.length === 0
      ? { WebhookSender: undefined }
      : await import('../../registry/events/webhook-sender.ts')
  for (const settings of config.events.endpoints) {
    if (WebhookSender === undefined) break
    const endpoint: EventEndpoint = {
      ...settings,
      timeoutMs: settings.timeoutSeconds * 1000,
      maxBackoffMs: settings.maxBackoffSeconds * 1000,
    }
    const envelope = envelopeOf(endpoint, config, holder)
    const sender = stack.use(new WebhookSender(endpoint, envelope))
    const cut = eventBatches(endpoint, envelope)
    stack.use(
      startDelivery({
        endpoint,
        records: metadata,
        sender,
        cut,
        holder,
        log,
        metrics,
        times: defaultDeliveryTimes,
      }),
    )
  }
  const owned = stack.move()
  return { metrics, [Symbol.asyncDispose]: async () => await owned.disposeAsync() }
}

function envelopeOf(
  { format, batch }: EventEndpoint,
  { events, registry }: Config,
  holder: string,
): Envelope {
  if (format === 'cloudevents') return cloudEventsEnvelope(events.source, batch > 1)
  const port = registry.address.slice(registry.address.lastIndexOf(':') + 1)
  return distributionEnvelope({ addr: `${hostname()}:${port}`, instanceID: holder })
}
