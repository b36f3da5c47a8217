import assert from 'node:assert/strict'
import type { Readable } from 'node:stream'
import { it } from 'node:test'
import type { ErrorCode } from '../../../../src/errors.ts'
import type { LayerReport } from '../../../../src/importer/layer/apply-layer.ts'
import type { LayerLimits } from '../../../../src/importer/layer/limits.ts'
import type { LayerPolicy } from '../../../../src/importer/layer/policy.ts'
import type { LayerPlace } from '../../../support/layer-places.ts'
import type { LayerSandbox } from '../../../support/layer-sandbox.ts'

/** Layers that somebody hostile could send, and what becomes of them. The canary around the root never changes. */
export interface Attack {
  /** Begins with the number of its sequence, where it has one: `S-7: …`. */
  readonly title: string
  /** Base first; all but the last are applied without an error. */
  readonly layers: readonly AttackLayer[]
  /** The names that are there afterwards, or how the last layer is refused; undefined: see `check`. */
  readonly outcome: Outcome | ((sandbox: LayerSandbox) => Outcome)
  readonly limits?: Partial<LayerLimits>
  readonly policy?: Partial<LayerPolicy>
  /** What else must hold. `report` is absent after a refusal. */
  readonly check?: AttackCheck
}

/** A layer that is made for the sandbox, because it names what is around it, or because it is too long to keep. */
export type AttackLayer = Uint8Array | ((sandbox: LayerSandbox) => Uint8Array | Readable)

export type Outcome = readonly string[] | ErrorCode | undefined

export type AttackCheck = (sandbox: LayerSandbox, report: LayerReport | undefined) => void | Promise<void>

type Layers = AttackLayer | readonly AttackLayer[]

export function stays(title: string, layers: Layers, names?: readonly string[], check?: AttackCheck): Attack {
  return { title, layers: listOf(layers), outcome: names, ...(check === undefined ? {} : { check }) }
}

export function refused(title: string, layers: Layers, code: ErrorCode = 'invalid'): Attack {
  return { title, layers: listOf(layers), outcome: code }
}

/** A layer that is refused before it has changed anything at all. */
export function refusedUntouched(title: string, layers: Layers, names: readonly string[]): Attack {
  return {
    title,
    layers: listOf(layers),
    outcome: 'invalid',
    check: sandbox => assert.deepEqual(sandbox.names(), names),
  }
}

/** One test for each. Disposing the sandbox compares the canary. */
export function attackTests(place: LayerPlace, attacks: readonly Attack[]): void {
  for (const attack of attacks)
    it(attack.title, { timeout: 60_000 }, async () => {
      using sandbox = place.sandbox()
      await runAttack(attack, sandbox)
    })
}

export async function runAttack(
  { layers, outcome, limits = {}, policy = {}, check }: Attack,
  sandbox: LayerSandbox,
): Promise<void> {
  const apply = async (layer: AttackLayer): Promise<LayerReport> =>
    await sandbox.apply(layer instanceof Uint8Array ? layer : layer(sandbox), limits, policy)
  const last = layers.at(-1)
  if (last === undefined) throw new Error('an attack has at least one layer')
  for (const layer of layers.slice(0, -1)) await apply(layer)
  const expected = typeof outcome === 'function' ? outcome(sandbox) : outcome
  if (typeof expected === 'string') {
    await assert.rejects(apply(last), { name: 'DomainError', code: expected })
    await check?.(sandbox, undefined)
    return
  }
  const report = await apply(last)
  if (expected !== undefined) assert.deepEqual(sandbox.names(), expected)
  await check?.(sandbox, report)
}

function listOf(layers: Layers): readonly AttackLayer[] {
  return Array.isArray(layers) ? (layers as readonly AttackLayer[]) : [layers as AttackLayer]
}
