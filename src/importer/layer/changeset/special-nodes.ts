import type { DeviceEntry, FifoEntry } from '../entry.ts'
import { showPath } from '../entry-path.ts'
import { unsupportedLayer } from '../layer-errors.ts'
import type { LayerPolicy } from '../policy.ts'
import type { AbsentNode } from '../tree/directory.ts'
import { makeFifo } from '../tree/fifo.ts'
import type { Place } from '../tree/root-tree.ts'
import type { Tally } from './tally.ts'
import type { TracedTree } from './traced-tree.ts'

export interface SkipContext {
  readonly traced: TracedTree
  readonly tally: Tally
}

export interface NodeContext extends SkipContext {
  readonly policy: LayerPolicy
}

/** A device node or a FIFO, as the policy has it. */
export function placeNode(place: Place, entry: DeviceEntry | FifoEntry, context: NodeContext): void {
  if (entry.type === 'device') placeDevice(place, entry, context)
  else placeFifo(place, entry, context)
}

/**
 * Remembered, so that hard links to it are left out as well. Whatever was at the place must be gone. The directories above
 * it are this layer's all the same, so that no whiteout takes them, wherever in the layer it stands.
 */
export function skipNode({ directory, name }: Place, type: AbsentNode, { traced, tally }: SkipContext): void {
  directory.absent ??= new Map()
  directory.absent.set(name, type)
  traced.keepImplied(directory)
  tally.add(type === 'device' ? 'skippedDevices' : 'skippedFifos')
  tally.warn(type === 'device' ? 'device-skipped' : 'fifo-skipped', () => showPath([...directory.path, name]))
}

function placeDevice(place: Place, entry: DeviceEntry, { traced, tally, policy }: NodeContext): void {
  switch (policy.devices) {
    case 'refuse':
      throw unsupportedLayer(
        `${showPath(entry.path)} is a device node, which the policy of this host refuses`,
      )
    case 'skip':
      traced.clear(place)
      skipNode(place, 'device', { traced, tally })
      return
    case 'empty-file': {
      const { directory, name } = place
      const file = traced.make(place, () => traced.tree.createFile(directory, name, entry.mode))
      try {
        noteTime(place, file.describe(entry) || entry.clampedTime === true, tally)
      } finally {
        file.close()
      }
      traced.keepOwn(place)
      tally.add('skippedDevices')
      tally.warn('device-replaced', () => showPath([...directory.path, name]))
    }
  }
}

function placeFifo(place: Place, entry: FifoEntry, { traced, tally, policy }: NodeContext): void {
  switch (policy.fifos) {
    case 'refuse':
      throw unsupportedLayer(`${showPath(entry.path)} is a FIFO, which the policy of this host refuses`)
    case 'skip':
      traced.clear(place)
      skipNode(place, 'fifo', { traced, tally })
      return
    case 'make': {
      tally.addMadeFifo()
      const outcome = traced.make(place, () => makeFifo(traced.tree, place.directory, place.name, entry))
      if (outcome === 'impossible') {
        traced.clear(place)
        skipNode(place, 'fifo', { traced, tally })
        return
      }
      noteTime(place, outcome === 'time clamped' || entry.clampedTime === true, tally)
      traced.keepOwn(place)
    }
  }
}

function noteTime({ directory, name }: Place, isClamped: boolean, tally: Tally): void {
  if (isClamped) tally.warn('time-clamped', () => showPath([...directory.path, name]))
}
