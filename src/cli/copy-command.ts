import { Command, InvalidArgumentError, Option } from 'commander'
import type { CopyFlags } from './copy.ts'
import { configOption, jsonOption, logLevelOption } from './options.ts'

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
    .action(async (from: string, to: string, flags: CopyFlags) => {
      // It brings a client of registries and a display with it, which no other command should load.
      const { copy } = await import('./copy.ts')
      await copy(from, to, flags)
    })
}

function parseCount(text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 1 && count <= 64) return count
  throw new InvalidArgumentError('write a number from 1 to 64')
}
