/**
 * What imgmanifest and vmadm check, from their documentation: an independent reading of the rules, so that a manifest or
 * a payload of ours is judged by something that has not made it.
 */
type Check = (value: unknown) => boolean

const uuid: Check = value =>
  typeof value === 'string' && /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(value)
const text =
  (longest: number, pattern = /^/): Check =>
  value =>
    typeof value === 'string' && value.length <= longest && pattern.test(value)
const oneOf =
  (...values: readonly unknown[]): Check =>
  value =>
    values.includes(value)
const boolean: Check = value => typeof value === 'boolean'
const utc: Check = value =>
  typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/.test(value)
const smallJson: Check = value => {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isObject && JSON.stringify(value).length <= 100 * 1024
}
const anything: Check = () => true
const integer =
  (least: number): Check =>
  value =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= least
const listOf =
  (check: Check): Check =>
  value =>
    Array.isArray(value) && value.every(check)
/** A string that holds the JSON of what the check is for. */
const jsonOf =
  (check: Check): Check =>
  value => {
    if (typeof value !== 'string') return false
    try {
      return check(JSON.parse(value))
    } catch {
      return false
    }
  }
const object: Check = value => typeof value === 'object' && value !== null && !Array.isArray(value)
const string: Check = value => typeof value === 'string'
const strings = listOf(string)
const oneOrOther =
  (...checks: readonly Check[]): Check =>
  value =>
    checks.some(check => check(value))

const file: Check = value =>
  isRecord(value) &&
  text(40, /^[0-9a-f]{40}$/)(value['sha1']) &&
  integer(0)(value['size']) &&
  oneOf('gzip', 'bzip2', 'xz', 'none')(value['compression'])

/** What Triton's docker import writes, and `kernel_version`, which VMAPI reads; other software may have tags of its own. */
const dockerTags: readonly (readonly [name: RegExp, check: Check])[] = [
  [/^kernel_version$/, text(32, /^\d+\.\d+\.\d+$/)],
  [/^docker:repo$/, text(255, /^[a-z0-9._/-]+$/)],
  [/^docker:id$/, text(200, /^sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})$/)],
  [/^docker:architecture$/, text(64, /^[\w.-]+$/)],
  [/^docker:tag:[\w.-]{1,128}$/, oneOf(true)],
  [/^docker:config$/, dockerConfig],
]

function dockerConfig(value: unknown): boolean {
  const lists = oneOrOther(oneOf(null), strings)
  return (
    isRecord(value) &&
    Object.keys(value).toSorted().join() === 'Cmd,Entrypoint,Env,WorkingDir' &&
    ['Cmd', 'Entrypoint', 'Env'].every(name => lists(value[name])) &&
    string(value['WorkingDir'])
  )
}

const tags: Check = value =>
  smallJson(value) &&
  isRecord(value) &&
  Object.entries(value).every(([name, tag]) => {
    const known = dockerTags.find(([pattern]) => pattern.test(name))
    return known === undefined ? /^[a-z]+:[a-z-]+$/.test(name) && !name.startsWith('docker:') : known[1](tag)
  })

const manifestFields: Readonly<Record<string, Check>> = {
  v: oneOf(2),
  uuid,
  owner: uuid,
  name: text(1024, /^[A-Za-z0-9._/+ -]+$/),
  version: text(512, /^[^ ]+$/),
  description: text(255),
  homepage: text(128),
  eula: text(128),
  disabled: boolean,
  activated: boolean,
  published_at: utc,
  state: oneOf('active', 'unactivated', 'disabled', 'creating', 'failed'),
  public: boolean,
  type: oneOf('zone-dataset', 'lx-dataset', 'zvol', 'lxd', 'docker', 'other'),
  os: oneOf('smartos', 'linux', 'windows', 'bsd', 'illumos', 'other'),
  origin: uuid,
  error: anything,
  files: listOf(file),
  icon: boolean,
  acl: Array.isArray,
  requirements: anything,
  users: Array.isArray,
  billing_tags: Array.isArray,
  traits: anything,
  tags,
  generate_passwords: boolean,
  inherited_directories: Array.isArray,
  channels: Array.isArray,
}
const neededInManifest = ['v', 'uuid', 'name', 'version', 'type', 'os']

/** `docker:*` of a zone: what dockerinit and sdc-docker read; user and directory are as they are, lists and maps JSON. */
const metadataFields: Readonly<Record<string, Check>> = {
  'docker:cmd': jsonOf(strings),
  'docker:entrypoint': jsonOf(strings),
  'docker:env': jsonOf(strings),
  'docker:user': string,
  'docker:workdir': string,
  'docker:imageid': text(200, /^sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})$/),
  'docker:imagename': text(1024, /^\S+$/),
  'docker:logdriver': oneOf('json-file', 'none', 'syslog', 'gelf', 'fluentd'),
  'docker:logconfig': jsonOf(object),
  'docker:restartpolicy': text(32, /^(?:always|on-failure(?::\d+)?)$/),
}
const neededInMetadata = ['docker:cmd', 'docker:entrypoint', 'docker:env']

/** Those of vmadm's properties that an image can have a say in; a provisioner's own are not among them. */
const payloadFields: Readonly<Record<string, Check>> = {
  brand: oneOf('lx', 'joyent', 'joyent-minimal'),
  kernel_version: text(32, /^\d+\.\d+\.\d+$/),
  image_uuid: uuid,
  docker: boolean,
  restart_init: boolean,
  autoboot: boolean,
  firewall_enabled: boolean,
  init_name: text(1024, /^\//),
  tmpfs: integer(0),
  zlog_max_size: integer(1),
  quota: integer(0),
  tags: value => scalars(value, ['string', 'number', 'boolean']),
  internal_metadata: value => scalars(value, ['string']),
}
const neededInPayload = ['brand', 'image_uuid', 'docker', 'init_name', 'tmpfs', 'internal_metadata']

/** One line for each rule that is broken. */
export function manifestFaults(manifest: object): string[] {
  return [
    ...faults(manifest, manifestFields),
    ...missing(manifest, neededInManifest),
    ...('state' in manifest && manifest.state === 'active' ? missing(manifest, ['published_at']) : []),
    ...('type' in manifest && manifest.type === 'docker' && 'os' in manifest && manifest.os !== 'linux'
      ? ['os: not linux']
      : []),
  ]
}

export function payloadFaults(payload: object): string[] {
  const metadata = 'internal_metadata' in payload ? payload.internal_metadata : undefined
  return [
    ...faults(payload, payloadFields),
    ...missing(payload, neededInPayload),
    ...(isRecord(metadata)
      ? [...faults(metadata, metadataFields), ...missing(metadata, neededInMetadata)]
      : []),
    ...('brand' in payload && payload.brand === 'lx' ? lxFaults(payload) : []),
  ]
}

/** Of the brand lx alone: its programs of the host are below /native, and it must say which Linux it is. */
function lxFaults(payload: object): string[] {
  const init = 'init_name' in payload ? payload.init_name : undefined
  const isNative = typeof init === 'string' && init.startsWith('/native/')
  return [...missing(payload, ['kernel_version']), ...(isNative ? [] : ['init_name: not below /native'])]
}

function missing(value: object, names: readonly string[]): string[] {
  return names.filter(name => !Object.hasOwn(value, name)).map(name => `${name}: missing`)
}

function faults(value: object, fields: Readonly<Record<string, Check>>): string[] {
  return Object.entries(value).flatMap(([name, field]) => {
    const check = Object.hasOwn(fields, name) ? fields[name] : undefined
    if (check === undefined) return [`${name}: unknown`]
    return check(field) ? [] : [`${name}: ${JSON.stringify(field)}`]
  })
}

function scalars(value: unknown, kinds: readonly string[]): boolean {
  return isRecord(value) && Object.values(value).every(item => kinds.includes(typeof item))
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
