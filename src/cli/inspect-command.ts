import type { Command } from 'commander'
import { counted } from '../counted.ts'
import type { InspectedImage, InspectedLayer } from '../importer/import-service.ts'
import type { ProcessConfig } from '../storage/image-config.ts'
import { formatBytes, formatTable, shortDigest } from './format.ts'
import { openImportService } from './open-import-service.ts'
import { type CommonFlags, configOf, importerCommand, jsonOption } from './options.ts'
import { printable, printableJson } from './printable.ts'
import { warningLines } from './warning-lines.ts'

interface InspectFlags extends CommonFlags {
  readonly json?: true
}

/** `inspect`: one image, its layers, and what applying them did. */
export function inspectCommand(): Command {
  return importerCommand('inspect', 'show an imported image, its layers, and what applying them did')
    .argument('<image>', 'name or digest')
    .addOption(jsonOption())
    .action(async (wanted: string, flags: InspectFlags) => {
      await using service = await openImportService(configOf(flags).config, flags)
      const image = await service.inspect(wanted)
      process.stdout.write(`${flags.json ? printableJson(image, 2) : describeImage(image)}\n`)
    })
}

/** For people. */
export function describeImage(image: InspectedImage): string {
  const sections = [
    [...image.names, ...(image.names.length === 0 ? ['<none>'] : [])].map(printable).join('\n'),
    formatTable([], [...identity(image), ...runs(image.process)]),
    formatTable(layerHeadings, image.layers.map(layerRow)),
    image.layers.flatMap(warningsOf).join('\n'),
  ]
  return sections.filter(section => section !== '').join('\n\n')
}

function identity(image: InspectedImage): string[][] {
  return [
    ['digest', image.manifestDigest],
    ['config', image.configDigest],
    ['platform', image.platform],
    ['chain', image.chainId],
    ...(image.triton === undefined ? [] : [['Triton UUID', image.triton.manifest.uuid]]),
    ['size', `${formatBytes(image.size)} in ${counted(image.layers.length, 'layer')}`],
    ['imported', image.importedAt.toISOString()],
    ['last used', image.lastUsedAt.toISOString()],
    ['clones', String(image.clones)],
  ]
}

/** With the defaults of what the image leaves open: OCI image-spec, config.md, "config". */
function runs({ Entrypoint = [], Cmd = [], WorkingDir, User, Env = [] }: ProcessConfig): string[][] {
  const command = [...Entrypoint, ...Cmd]
  return [
    ['command', command.length === 0 ? '<none>' : JSON.stringify(command)],
    ['directory', WorkingDir || '/'],
    ['user', User || 'root'],
    ...Env.map((variable, index) => [index === 0 ? 'environment' : '', variable]),
  ]
}

const layerHeadings = [
  'LAYER',
  'BLOB',
  'DIFF ID',
  'CHAIN',
  'SIZE',
  'ENTRIES',
  'BYTES',
  'WHITEOUTS',
  'DEVICES LEFT OUT',
  'FIFOS',
  'XATTRS',
  'LOCATION',
]

function layerRow({ blob, diffId, chainId, size, applied }: InspectedLayer, index: number): string[] {
  const { entries, bytes, notes, location } = applied ?? {}
  const number = (value: number | undefined): string => (value === undefined ? '-' : String(value))
  return [
    String(index),
    shortDigest(blob),
    shortDigest(diffId),
    shortDigest(chainId),
    formatBytes(size),
    number(entries),
    bytes === undefined ? '-' : formatBytes(bytes),
    number(notes?.whiteouts),
    number(notes?.skippedDevices),
    number(notes?.skippedFifos),
    number(notes?.droppedXattrs),
    location ?? 'gone',
  ]
}

function warningsOf({ applied }: InspectedLayer, index: number): string[] {
  return warningLines(applied?.notes?.warnings ?? []).map(line => printable(`layer ${index}: ${line}`))
}
