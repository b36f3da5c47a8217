/**
 * The dependency rule as data, and the check of it.
 *
 *     cli → registry, importer → storage → errors, log, config's types
 *
 * Registry and importer never import each other; storage imports neither.
 */
import { posix } from 'node:path'

export interface SourceFile {
  readonly path: string
  readonly text: string
}

/** A folder may import from itself and from these. */
const layersBelow: Readonly<Record<string, readonly string[]>> = {
  'src/storage/': ['src/errors.ts'],
  'src/registry/': [
    'src/storage/',
    'src/acting-characters.ts',
    'src/errors.ts',
    'src/log.ts',
    'src/malformed-request.ts',
    'src/metrics/',
    'src/mirror-job.ts',
    'src/retention-policy.ts',
    'src/tls/',
    'src/version.ts',
  ],
  'src/importer/': [
    'src/storage/',
    'src/counted.ts',
    'src/errors.ts',
    'src/log.ts',
    'src/malformed-request.ts',
    'src/metrics/',
    'src/tls/',
    'src/version.ts',
  ],
  'src/tls/': ['src/errors.ts'],
  'src/cli/': ['src/'],
  'src/cli.ts': ['src/'],
  'src/config.ts': ['src/config/', 'src/errors.ts', 'src/nearest.ts'],
  'src/config/': ['src/errors.ts', 'src/mirror-job.ts', 'src/retention-policy.ts'],
  'src/mirror-job.ts': [],
  'src/retention-policy.ts': [],
  'src/acting-characters.ts': [],
  'src/malformed-request.ts': [],
  'src/counted.ts': [],
  'src/nearest.ts': [],
  'src/log.ts': ['src/errors.ts'],
  'src/metrics/': [],
  'src/version.ts': [],
  'src/errors.ts': [],
}

/** Where a package may be imported: each has one home, so that it can be replaced there. */
const packageHomes: Readonly<Record<string, readonly string[]>> = {
  '@aws-sdk/client-s3': ['src/storage/objects/s3/'],
  '@aws-sdk/s3-request-presigner': ['src/storage/objects/s3/'],
  '@sigstore/bundle': ['src/registry/trust/'],
  '@sigstore/core': ['src/registry/trust/'],
  '@sigstore/protobuf-specs': ['src/registry/trust/'],
  '@sigstore/verify': ['src/registry/trust/'],
  '@koa/router': ['src/registry/', 'src/importer/agent/'],
  '@noble/hashes': ['src/storage/digest.ts'],
  bcryptjs: ['src/registry/auth/identities/'],
  'cli-progress': ['src/cli/'],
  croner: ['src/mirror-job.ts', 'src/registry/mirror/', 'src/registry/retention/', 'src/retention-policy.ts'],
  commander: ['src/cli.ts', 'src/cli/'],
  koa: ['src/registry/', 'src/importer/agent/'],
  kysely: ['src/storage/metadata/'],
  'lru-cache': [
    'src/registry/auth/',
    'src/registry/pull-through/',
    'src/registry/retention/',
    'src/storage/metadata/',
    'src/storage/blobs/blob-cache.ts',
    'src/storage/remote/',
    'src/registry/trust/',
    'src/importer/known-diff-ids.ts',
    'src/importer/layer/tree/',
    'src/registry/limits/',
    'src/registry/mirror/creation-times.ts',
  ],
  jose: ['src/registry/auth/', 'src/registry/trust/'],
  'openid-client': ['src/registry/auth/identities/'],
  'p-limit': [
    'src/importer/',
    'src/registry/mirror/',
    'src/registry/trust/',
    'src/storage/images/',
    'src/storage/remote/',
  ],
  pg: ['src/storage/metadata/postgres'],
  pino: ['src/log.ts'],
  'prom-client': ['src/metrics/'],
  semver: ['src/mirror-job.ts', 'src/registry/mirror/'],
  pumpify: ['src/importer/layer/decode/'],
  'tar-stream': ['src/importer/layer/tar/'],
  undici: [
    'src/storage/remote/',
    'src/registry/events/webhook-sender.ts',
    'src/registry/auth/identities/provider-transport.ts',
  ],
  yaml: ['src/config.ts', 'src/cli/mirror/read-job.ts', 'src/cli/retention/read-policy.ts'],
  zod: [
    'src/storage/',
    'src/importer/',
    'src/registry/',
    'src/config/',
    'src/mirror-job.ts',
    'src/retention-policy.ts',
  ],
  'node:child_process': [
    'src/importer/chain/',
    'src/importer/layer/tree/helper-program.ts',
    'src/storage/remote/credentials/credential-helper.ts',
  ],
  'node:sqlite': ['src/storage/metadata/', 'src/storage/process-lock.ts'],
}

/** Every broken rule and every cycle, one sentence each, with the import chain that leads to it. */
export function checkImports(sources: readonly SourceFile[]): string[] {
  const imports = new Map(sources.map(({ path, text }) => [path, importsOf(path, text)]))
  const violations: string[] = []
  for (const [path, targets] of imports) {
    for (const target of targets) {
      const violation = target.specifier.startsWith('.')
        ? brokenLayer(path, target.resolved)
        : brokenHome(path, packageOf(target.specifier))
      if (violation !== undefined) violations.push(violation + chainTo(path, target, imports))
    }
  }
  for (const { path, text } of sources)
    if (path !== 'src/config.ts' && /\bprocess\.env\b/.test(text))
      violations.push(`${path} must not read process.env (allowed in src/config.ts)`)
  return [...violations, ...cyclesIn(imports)]
}

interface Import {
  readonly specifier: string
  /** Path of the imported file; for packages the package's name. */
  readonly resolved: string
  readonly typeOnly: boolean
}

const importPattern =
  /(?:^|\n)\s*(?:import|export)\s+(type\s+)?(?:[^'"]*?\sfrom\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/g

function importsOf(path: string, text: string): Import[] {
  return [...text.matchAll(importPattern)].map(([, type, from, dynamic]) => {
    const specifier = from ?? dynamic ?? ''
    const resolved = specifier.startsWith('.')
      ? posix.join(posix.dirname(path), specifier)
      : packageOf(specifier)
    return { specifier, resolved, typeOnly: type !== undefined }
  })
}

function packageOf(specifier: string): string {
  if (specifier.startsWith('node:')) return specifier
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}

function brokenLayer(path: string, target: string): string | undefined {
  const [folder, allowed] = Object.entries(layersBelow).find(([prefix]) => path.startsWith(prefix)) ?? [
    path,
    [],
  ]
  if (target.startsWith(folder) || allowed.some(prefix => target.startsWith(prefix))) return undefined
  return `${path} must not import ${target} (${folder} may import: ${allowed.join(', ') || 'nothing'})`
}

function brokenHome(path: string, name: string): string | undefined {
  const homes = packageHomes[name]
  if (homes === undefined)
    return name.startsWith('node:')
      ? undefined
      : `${path} imports ${name}, which has no place in the table of test/support/imports.ts`
  if (homes.some(home => path.startsWith(home))) return undefined
  return `${path} must not import ${name} (allowed in ${homes.join(', ')})`
}

/** The shortest way from a file that nobody imports down to the offending import. */
function chainTo(path: string, target: Import, imports: ReadonlyMap<string, readonly Import[]>): string {
  const chain = [path]
  for (let file: string | undefined = path; file !== undefined; ) {
    const importer: string | undefined = [...imports].find(
      ([candidate, targets]) =>
        !chain.includes(candidate) && targets.some(({ resolved }) => resolved === file),
    )?.[0]
    if (importer !== undefined) chain.unshift(importer)
    file = importer
  }
  return chain.length > 1 ? `: ${[...chain, target.resolved].join(' → ')}` : ''
}

/** Cycles of value imports, each named once by its smallest file. Types may refer to each other. */
function cyclesIn(imports: ReadonlyMap<string, readonly Import[]>): string[] {
  const cycles = new Set<string>()
  const finished = new Set<string>()
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path)
    if (start >= 0) {
      const cycle = trail.slice(start)
      const smallest = cycle.indexOf([...cycle].sort()[0] ?? path)
      cycles.add(`cycle: ${[...cycle.slice(smallest), ...cycle.slice(0, smallest)].join(' → ')}`)
      return
    }
    if (finished.has(path)) return
    for (const { resolved, typeOnly } of imports.get(path) ?? [])
      if (!typeOnly && imports.has(resolved)) visit(resolved, [...trail, path])
    finished.add(path)
  }
  for (const path of imports.keys()) visit(path, [])
  return [...cycles]
}
