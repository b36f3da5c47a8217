import {
  type Archive,
  describeArchive,
  describePart,
  endsBefore,
  keepOnly,
  partAt,
  positionsOf,
} from './archive.ts'
import { type Difference, differencesOf } from './difference.ts'
import { type DifferenceRule, differenceRules } from './difference-rules.ts'
import { encodeLayer } from './encode.ts'
import type { Extracted, Oracle } from './oracle.ts'
import { partRules } from './part-rules.ts'
import { refusalRules } from './refusal-rules.ts'
import { describeRefusal, describeStep, type Refusal, type Scene, type Step, Unexplained } from './scenes.ts'
import type { Applied, Subject } from './subject.ts'

/** Compares what archives become here and elsewhere. One at a time. */
export class Comparison {
  readonly #subject: Subject
  readonly #oracles: readonly Oracle[]
  /** How often each rule has explained something. */
  readonly explained = new Map<string, number>()
  /** What has been made of the present archive, and of parts of it, by what they are written as. */
  readonly #known = new Map<string, Promise<Applied | Extracted>>()

  constructor(subject: Subject, oracles: readonly Oracle[]) {
    this.#subject = subject
    this.#oracles = oracles
  }

  /** @throws Unexplained, with all that is needed to look into it. */
  async check(archive: Archive): Promise<void> {
    this.#known.clear()
    const accepted = await this.#acceptedPart(archive)
    for (const oracle of this.#oracles) await this.#compare(accepted, oracle)
  }

  /** Leaves out what we refuse. */
  async #acceptedPart(whole: Archive): Promise<Archive> {
    for (let archive = whole; ; ) {
      const { refusal } = await this.#apply(archive)
      if (refusal === undefined) return mustNotBeRefused(archive)
      const positions = positionsOf(archive)
      const count = await firstFailing(positions.length, async length => {
        const applied = await this.#apply(keepOnly(archive, positions.slice(0, length)))
        return applied.refusal !== undefined
      })
      const position = positions[count - 1] ?? { layer: 0, part: 0 }
      const kept = keepOnly(archive, positions.slice(0, count - 1))
      const { tree: before } = await this.#apply(kept)
      const step: Refusal = {
        archive,
        part: partAt(archive, position),
        position,
        before,
        message: refusal.message,
      }
      const rule = refusalRules.find(({ explains }) => explains(step))
      if (rule === undefined) throw new Unexplained(describeRefusal(step))
      this.#count(rule.id)
      archive = keepOnly(
        archive,
        positions.filter(other => other !== position),
      )
    }
  }

  async #compare(whole: Archive, oracle: Oracle): Promise<void> {
    for (let archive = whole; ; ) {
      const scene = await this.#scene(archive, oracle)
      if (scene.ours.refusal !== undefined) {
        // What was left out had to be there for what came after it.
        archive = await this.#acceptedPart(archive)
        continue
      }
      if (this.#unexplained(scene).length === 0) {
        for (const difference of differencesOf(scene.ours.tree, scene.theirs.tree))
          this.#count(ruleFor(difference, scene)?.id ?? '')
        return
      }
      const positions = positionsOf(archive)
      const count = await firstFailing(positions.length, async length => {
        const shorter = await this.#scene(keepOnly(archive, positions.slice(0, length)), oracle)
        // Without the ending, what it has cut away is there, and may be refused.
        return shorter.ours.refusal === undefined && this.#unexplained(shorter).length > 0
      })
      const position = positions[count - 1] ?? { layer: 0, part: 0 }
      const shortest = await this.#scene(keepOnly(archive, positions.slice(0, count)), oracle)
      const { tree: before } = await this.#apply(keepOnly(archive, positions.slice(0, count - 1)))
      const step: Step = {
        ...shortest,
        part: partAt(archive, position),
        before,
        differences: this.#unexplained(shortest),
      }
      const rule = partRules.find(({ tools, explains }) => tools.includes(oracle.tool) && explains(step))
      if (rule === undefined) throw new Unexplained(describeStep(step))
      this.#count(rule.id)
      archive = keepOnly(
        archive,
        positions.filter(other => other !== position),
      )
    }
  }

  #unexplained(scene: Scene): Difference[] {
    return differencesOf(scene.ours.tree, scene.theirs.tree).filter(
      difference => ruleFor(difference, scene) === undefined,
    )
  }

  async #scene(archive: Archive, oracle: Oracle): Promise<Scene> {
    const layers = archive.layers.map(encodeLayer)
    const [theirs, ours] = await Promise.all([
      this.#once(oracle.tool, layers, () => oracle.extract(layers)),
      this.#apply(archive),
    ])
    return { tool: oracle.tool, archive, ours, theirs }
  }

  async #apply(archive: Archive): Promise<Applied> {
    const layers = archive.layers.map(encodeLayer)
    return await this.#once('varve', layers, () => this.#subject.apply(layers))
  }

  async #once<Result extends Applied | Extracted>(
    who: string,
    layers: readonly Buffer[],
    work: () => Promise<Result>,
  ): Promise<Result> {
    const key = [who, ...layers.map(layer => layer.toString('latin1'))].join('\n\n')
    const known = this.#known.get(key) ?? work()
    this.#known.set(key, known)
    // The key says who has made it.
    return (await known) as Result
  }

  #count(id: string): void {
    this.explained.set(id, (this.explained.get(id) ?? 0) + 1)
  }
}

/** @throws Unexplained for a part that can be in no archive that we take. */
function mustNotBeRefused(archive: Archive): Archive {
  // Of what is cut away nothing is known.
  if (archive.layers.some(({ ending }) => ending.kind === 'cut')) return archive
  for (const position of positionsOf(archive)) {
    if (endsBefore(archive, position)) continue
    const part = partAt(archive, position)
    const rule = refusalRules.find(({ always }) => always?.(part))
    if (rule !== undefined)
      throw new Unexplained(
        `not refused, as ${rule.id} has it: ${describePart(part)}\nin\n${describeArchive(archive)}`,
      )
  }
  return archive
}

function ruleFor(difference: Difference, scene: Scene): DifferenceRule | undefined {
  return differenceRules.find(
    ({ tools, explains }) => tools.includes(scene.tool) && explains(difference, scene),
  )
}

/** The smallest length from 1 to `longest`, which fails, where it begins to fail. */
async function firstFailing(longest: number, fails: (length: number) => Promise<boolean>): Promise<number> {
  let [passes, failing] = [0, longest]
  while (failing - passes > 1) {
    const middle = (passes + failing) >> 1
    if (await fails(middle)) failing = middle
    else passes = middle
  }
  return failing
}
