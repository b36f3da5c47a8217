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
  files: Array.isArray,
  icon: boolean,
  acl: Array.isArray,
  requirements: anything,
  users: Array.isArray,
  billing_tags: Array.isArray,
  traits: anything,
  tags: smallJson,
  generate_passwords: boolean,
  inherited_directories: Array.isArray,
  channels: Array.isArray,
}
const neededInManifest = ['v', 'uuid', 'name', 'version', 'type', 'os']

const payloadFields: Readonly<Record<string, Check>> = {
  brand: oneOf('lx', 'joyent', 'joyent-minimal'),
  kernel_version: text(32, /^\d+\.\d+\.\d+$/),
  image_uuid: uuid,
  docker: boolean,
  restart_init: boolean,
  autoboot: boolean,
  init_name: text(1024, /^\//),
  tmpfs: Number.isSafeInteger,
  quota: value => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0,
  tags: value => scalars(value, ['string', 'number', 'boolean']),
  internal_metadata: value => scalars(value, ['string']),
}

/** One line for each rule that is broken. */
export function manifestFaults(manifest: object): string[] {
  return [
    ...faults(manifest, manifestFields),
    ...neededInManifest.filter(field => !(field in manifest)).map(field => `${field}: missing`),
  ]
}

export function payloadFaults(payload: object): string[] {
  return faults(payload, payloadFields)
}

function faults(value: object, fields: Readonly<Record<string, Check>>): string[] {
  return Object.entries(value).flatMap(([name, field]) => {
    const check = fields[name]
    if (check === undefined) return [`${name}: unknown`]
    return check(field) ? [] : [`${name}: ${JSON.stringify(field)}`]
  })
}

function scalars(value: unknown, kinds: readonly string[]): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every((item: unknown) => kinds.includes(typeof item))
  )
}
