import { type CopyOptions, copyImage } from '../storage/images/copy-image.ts'
import type { ReadableRepository } from '../storage/images/image-repository.ts'
import { parsePlatform } from '../storage/platform.ts'
import type { Tag } from '../storage/reference.ts'
import { createCopyDisplay } from './copy-display.ts'
import { type CopyPlace, parseCopyPlace, sourceReference, targetTag } from './copy-place.ts'
import { CopyPlaces } from './copy-places.ts'
import { type CommonFlags, configOf } from './options.ts'
import { abortOnSignals } from './signals.ts'

/** As they were given. */
export interface CopyFlags extends Omit<CommonFlags, 'platform'> {
  readonly platform: readonly string[]
  readonly platformMode: 'sparse' | 'single'
  readonly referrers: boolean
  readonly legacyCosignTags?: true
  readonly srcCredentials?: string
  readonly dstCredentials?: string
  readonly concurrency: number
  readonly json?: true
}

/** Copies one image, and shows how far it is. @throws DomainError. */
export async function copy(from: string, to: string, flags: CopyFlags): Promise<void> {
  const [source, target] = [parseCopyPlace(from), parseCopyPlace(to)]
  const { signal } = abortOnSignals()
  const { config } = configOf(configFlags(flags))
  const display = createCopyDisplay(process.stdout, flags.json ?? false)
  try {
    await using places = new CopyPlaces(config)
    const readable = await places.openSource(source, flags.srcCredentials, signal)
    const reference = sourceReference(source, await onlyTagOf(source, readable, signal))
    const tag = targetTag(target, reference)
    const writable = await places.openTarget(target, flags.dstCredentials, signal)
    const report = await copyImage(readable, reference, writable, {
      ...optionsOf(flags),
      tags: tag === undefined ? [] : [tag],
      mountFrom: sameRegistry(source, target) ? [source.image.repository] : [],
      progress: display,
      signal,
    })
    display.done(from, to, report)
  } finally {
    display.close()
  }
}

/** A layout with one tag need not be told which. */
async function onlyTagOf(
  place: CopyPlace,
  repository: ReadableRepository,
  signal: AbortSignal,
): Promise<Tag | undefined> {
  if (place.kind === 'registry' || place.reference !== undefined) return undefined
  const [only, ...others] = await Array.fromAsync(repository.tags({ signal }))
  return others.length === 0 ? only : undefined
}

function sameRegistry(source: CopyPlace, target: CopyPlace): source is CopyPlace & { kind: 'registry' } {
  return (
    source.kind === 'registry' &&
    target.kind === 'registry' &&
    source.image.registry === target.image.registry
  )
}

function optionsOf(
  flags: CopyFlags,
): Pick<CopyOptions, 'platforms' | 'referrers' | 'thorough' | 'concurrency'> {
  const { platform, platformMode: mode, referrers: include, legacyCosignTags = false, concurrency } = flags
  const only = platform.map(parsePlatform)
  return {
    platforms: only.length === 0 ? undefined : { mode, only },
    referrers: { include, legacyCosignTags },
    // Somebody asked for all of it to be there.
    thorough: true,
    concurrency,
  }
}

/** Its flag for plain HTTP is about another setting than the importer's. */
function configFlags({ config, logLevel, plainHttp }: CopyFlags): CommonFlags {
  return {
    ...(config === undefined ? {} : { config }),
    ...(logLevel === undefined ? {} : { logLevel }),
    ...(plainHttp === undefined ? {} : { remotePlainHttp: plainHttp }),
  }
}
