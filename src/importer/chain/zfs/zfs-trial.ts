import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DomainError, isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import { parseChainId } from '../../../storage/chain-id.ts'
import { digestOf, parseDiffId } from '../../../storage/digest.ts'
import type { ChainStore, LayerFacts } from '../chain-store.ts'
import { parseCloneName } from '../clone-name.ts'

/** How one step of a trial went. */
export interface TrialStep {
  readonly name: string
  readonly milliseconds: number
  /** Why it failed; nothing comes after it but the removal. */
  readonly failure?: string | undefined
}

/** No layer of an image hashes to it, so what a trial that was killed has left is known for what it is. */
const content = digestOf(Buffer.from('varve zfs check'))
const chain = parseChainId(content)
const facts: LayerFacts = { diffId: parseDiffId(content), blob: content, parent: null, entries: 1, bytes: 0 }
const name = parseCloneName('varve-check')

/**
 * Does with a chain of its own all that is done with images, and leaves nothing behind; what an earlier trial has left, which
 * was killed, it removes as well.
 * @throws DomainError `busy` while another process does the same.
 */
export async function tryStore(store: ChainStore, options: Abortable = {}): Promise<TrialStep[]> {
  using claim = store.claim(chain)
  if (claim === undefined)
    throw new DomainError('busy', 'Another check tries the same pool; try again when it has ended.', {
      resource: 'pool',
      name: store.description,
    })
  await remove(store)
  const steps: TrialStep[] = []
  const step = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    if (steps.some(({ failure }) => failure !== undefined)) return
    options.signal?.throwIfAborted()
    const started = performance.now()
    const failure = await failureOf(work)
    steps.push({ name: what, milliseconds: performance.now() - started, ...(failure && { failure }) })
  }
  try {
    await step('make, mount, snapshot, roll back and hold', async () => {
      await using builder = await store.extend(null, options)
      await writeFile(join(builder.rootfs, 'file'), '')
      await builder.commit(chain, facts, { ...options, isLast: true })
    })
    await step('clone and mount', () => store.clone(chain, name, options))
    await step('find the clone again', () => store.clone(chain, name, options))
  } finally {
    const started = performance.now()
    const failure = await failureOf(() => remove(store))
    steps.push({
      name: 'unmount, release and destroy',
      milliseconds: performance.now() - started,
      ...(failure && { failure }),
    })
  }
  return steps
}

/** Without a signal: what was made is removed whatever happens. */
async function remove(store: ChainStore): Promise<void> {
  if ((await store.findClone(name)) !== undefined) await store.destroyClone(name)
  if ((await store.find(chain)) !== undefined) await store.remove(chain)
}

async function failureOf(work: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    if (!isDomainError(error)) throw error
    return error.message
  }
}
