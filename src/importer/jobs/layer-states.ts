import type { ImportEvent, PlannedLayer } from '../import-service.ts'
import type { TimedEvent } from './event-digest.ts'
import type { JobState, LayerState } from './job-records.ts'

/** An older word about a layer says nothing of its speed. */
const rateHoldsMs = 5000

/**
 * What has become of each layer, base first. Empty when the image has not been resolved.
 * @param events oldest first.
 * @param now on the clock of the events.
 */
export function layerStatesOf(events: readonly TimedEvent[], state: JobState, now: number): LayerState[] {
  const planned = events.flatMap(({ event }) => (event.type === 'resolved' ? event.layers : []))
  const states = planned.map(untouched)
  let turn = 0
  for (const { event, at } of events) {
    if (event.type === 'resolved') continue
    const index = indexOf(event, planned)
    const before = states[index]
    if (before === undefined) continue
    const isLive = state === 'running' && now - at < rateHoldsMs
    states[index] = afterEvent(before, event, isLive)
    if (!isAhead(event)) turn = index
  }
  // A layer's turn comes when all below it are there, whoever has made them.
  for (const [index, layer] of states.entries())
    if (index < turn && layer.phase !== 'done')
      states[index] = { ...layer, phase: 'present', bytesPerSecond: 0 }
  // Nothing of an image that is there is missing, so others have made what this import has not.
  return state === 'done' ? states.map(whole) : states
}

function indexOf(event: LayerEvent, planned: readonly PlannedLayer[]): number {
  if (event.type === 'waiting') return planned.findIndex(({ chainId }) => chainId === event.chainId)
  return event.layer
}

/** Whether it says nothing of whose turn it is. */
function isAhead(event: LayerEvent): boolean {
  return event.type === 'layer-progress' && event.phase === 'download'
}

type LayerEvent = Exclude<ImportEvent, { readonly type: 'resolved' }>

function afterEvent(before: LayerState, event: LayerEvent, isLive: boolean): LayerState {
  switch (event.type) {
    case 'waiting':
      return { ...before, phase: 'waiting' }
    case 'layer-progress': {
      const { phase, blobBytes, entries, bytes, bytesPerSecond } = event
      return { ...before, phase, blobBytes, entries, bytes, bytesPerSecond: isLive ? bytesPerSecond : 0 }
    }
    case 'layer-done': {
      const { entries, bytes } = event.report
      return { ...before, phase: 'done', blobBytes: before.size, entries, bytes }
    }
  }
}

function untouched({ chainId, diffId, blob, size, present }: PlannedLayer): LayerState {
  const phase = present ? 'present' : 'queued'
  return { chainId, diffId, blob, phase, blobBytes: 0, size, entries: 0, bytes: 0, bytesPerSecond: 0 }
}

function whole(layer: LayerState): LayerState {
  return layer.phase === 'done' ? layer : { ...layer, phase: 'present' }
}
