import { Command, InvalidArgumentError, Option } from 'commander'
import { type CopyOptions, copyImage } from '../storage/images/copy-image.ts'
import type { ReadableRepository } from '../storage/images/image-repository.ts'
import { parsePlatform } from '../storage/platform.ts'
import type { Tag } from '../storage/reference.ts'
import { createCopyDisplay } from './copy-display.ts'
import { type CopyPlace, parseCopyPlace, sourceReference, targetTag } from './copy-place.ts'
import { CopyPlaces } from './copy-places.ts'
import { type CommonFlags, configOf, configOption, jsonOption, logLevelOption } from './options.ts'
import { abortOnSignals } from './signals.ts'

interface CopyFlags extends Omit<CommonFlags, 'platform'> {
  readonly platform: readonly string[]
  readonly platformMode: 'sparse' | 'single'
  readonly referrers: boolean
  readonly legacyCosignTags?: true
  readonly srcCredentials?: string
  readonly dstCredentials?: string
  readonly concurrency: number
  readonly json?: true
}

/** `varve copy`: one image, from anywhere to anywhere. */
export function copyCommand(): Command {
  return new Command('copy')
    .description('copy an image between registries and OCI layout directories, with its signatures')
    .argument('<source>', '[registry/]repository[:tag][@digest], oci:DIRECTORY[:tag] or oci:DIRECTORY@digest')
    .argument('<target>', '[registry/]repository[:tag], or oci:DIRECTORY[:tag]')
    .addOption(configOption())
    .addOption(logLevelOption())
    .addOption(
      new Option('--platform <os/arch>', 'only this platform of an index; may be given several times')
        .argParser((text, before: readonly string[]) => [...before, text])
        .default([], 'all'),
    )
    .addOption(
      new Option(
        '--platform-mode <mode>',
        'the index as it is with fewer children, or one image in its place',
      )
        .choices(['sparse', 'single'])
        .default('sparse'),
    )
    .option('--no-referrers', 'leave signatures, attestations and the like behind')
    .option('--legacy-cosign-tags', 'also take the tags sha256-….sig, .att and .sbom')
    .option('--src-credentials <name>', 'configured credentials for the source; without it those that fit')
    .option('--dst-credentials <name>', 'configured credentials for the target; without it those that fit')
    .option('--plain-http <hosts>', 'registries to speak plain HTTP to, comma-separated; loopback always is')
    .addOption(new Option('--concurrency <count>', 'blobs at once').argParser(parseCount).default(3, '3'))
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
What the target has already is not copied again, and a copy that was interrupted goes on where it
stopped. The tag is set last, so nobody sees half an image.

Examples:
  varve copy docker.io/library/debian:12 registry.example.org/debian:12
  varve copy --platform linux/amd64 quay.io/acme/web:v1 oci:/srv/images
  varve copy oci:/srv/images:v1 localhost:5000/acme/web:v1`,
    )
    .action(copy)
}

async function copy(from: string, to: string, flags: CopyFlags): Promise<void> {
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

function parseCount(text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 1 && count <= 64) return count
  throw new InvalidArgumentError('write a number from 1 to 64')
}
