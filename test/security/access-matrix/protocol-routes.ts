import { digestOf } from '../../../src/storage/digest.ts'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import { type Call, indexOf, manifestOf, withQuery } from '../../support/registry-client.ts'
import type { Need, Outcome } from './expected.ts'
import type { Shown } from './shown.ts'
import { layer } from './world.ts'

/** An endpoint of the protocol: what it needs, how it is asked, and what whoever is let in is answered. */
export interface ProtocolRoute {
  readonly method: string
  /** As in the registry's table of endpoints. */
  readonly path: string
  readonly needs: Need
  /** In a repository that is there, and for what belongs to none. */
  readonly there: Outcome
  readonly absent: Outcome
  readonly prepare: (place: Place) => Promise<Sent> | Sent
}

export interface Place {
  readonly name: string
  readonly isThere: boolean
  /** Whether the asker is expected to be let in. */
  readonly isLetIn: boolean
  readonly asker: Shown
  readonly admin: Shown
  /** Different in every row. */
  readonly mark: string
}

export interface Sent extends Call {
  readonly target: string
}

type Prepared = Omit<Sent, 'target'> & { readonly target?: string }
type Prepare = (place: Place) => Promise<Prepared> | Prepared

const config = Buffer.from('{}')
const image = digestOf(manifestOf(config, [layer]))
const chunk = Buffer.from('a chunk')
const ok: Outcome = { status: 200 }
const created: Outcome = { status: 201 }
const accepted: Outcome = { status: 202 }
const emptied: Outcome = { status: 204 }
const unknownBlob: Outcome = { status: 404, code: 'BLOB_UNKNOWN' }
const unknownManifest: Outcome = { status: 404, code: 'MANIFEST_UNKNOWN' }
const unknownName: Outcome = { status: 404, code: 'NAME_UNKNOWN' }

/** Manifests that name nothing, so that they fit into every repository. */
function uniqueIndex(mark: string): Buffer {
  return indexOf([], { annotations: { mark } })
}

const nothingMore: Prepare = () => ({})

function route(
  method: string,
  path: string,
  needs: Need,
  there: Outcome,
  absent: Outcome,
  prepare: Prepare = nothingMore,
): ProtocolRoute {
  return {
    method,
    path,
    needs,
    there: method === 'HEAD' ? { status: there.status } : there,
    absent: method === 'HEAD' ? { status: absent.status } : absent,
    prepare: async place => {
      const { target = fill(path, place.name), ...call } = await prepare(place)
      return { target, ...call }
    },
  }
}

/** The path for one repository, with a blob and a manifest that are in those that are there. */
export function fill(path: string, name: string, more: Readonly<Record<string, string>> = {}): string {
  const values: Readonly<Record<string, string>> = {
    name,
    digest: path.includes('/referrers/') ? image : digestOf(layer),
    reference: '1',
    id: '00000000-0000-4000-8000-000000000000',
    ...more,
  }
  return path.replace(/[*:](\w+)/g, (_, key: string) => values[key] ?? '')
}

function getAndHead(path: string, needs: Need, there: Outcome, absent: Outcome): ProtocolRoute[] {
  return ['GET', 'HEAD'].map(method => route(method, path, needs, there, absent))
}

/** Of the admin, in repositories that are there: for those who may not even learn that it is not theirs. */
const sessionsOfAdmin = new WeakMap<Shown, Map<string, Promise<string>>>()

function sessionOfAdmin(admin: Shown, name: string): Promise<string> {
  const sessions = sessionsOfAdmin.get(admin) ?? new Map<string, Promise<string>>()
  sessionsOfAdmin.set(admin, sessions)
  const session = sessions.get(name) ?? admin.startUpload(name)
  sessions.set(name, session)
  return session
}

/** A session is its maker's own, so whoever is let in makes it. */
function ofSession(path: string, make: (location: string) => Prepared): Prepare {
  return async ({ name, isThere, isLetIn, asker, admin }) => {
    const absent = fill(path.replace(/\/$/, ''), name)
    const shared = isThere ? await sessionOfAdmin(admin, name) : absent
    const [address = '', query = ''] = (isLetIn ? await asker.startUpload(name) : shared).split('?')
    return make(`${address}${path.endsWith('/') ? '/' : ''}${query === '' ? '' : `?${query}`}`)
  }
}

function sessionRoutes(path: string): ProtocolRoute[] {
  const pushing = ['pull', 'push'] as const
  const of = (method: string, answer: Outcome, make: (location: string) => Prepared) =>
    route(method, path, pushing, answer, answer, ofSession(path, make))
  return [
    of('GET', emptied, target => ({ target })),
    of('PATCH', accepted, target => ({ target, body: chunk })),
    of('PUT', created, target => ({ target: withQuery(target, 'digest', digestOf(chunk)), body: chunk })),
    of('DELETE', emptied, target => ({ target })),
  ]
}

function startRoutes(path: string): ProtocolRoute[] {
  return [route('POST', path, ['pull', 'push'], accepted, accepted)]
}

/** Whoever is refused tries it on what has to stay. */
const deleteBlob: Prepare = async ({ name, isThere, isLetIn, admin, mark }) => {
  if (!isThere || !isLetIn) return {}
  const digest = await admin.pushBlob(name, Buffer.from(`for ${mark}`))
  return { target: `/v2/${name}/blobs/${digest}` }
}

const deleteManifest: Prepare = async ({ name, isThere, isLetIn, admin, mark }) => {
  if (!isThere || !isLetIn) return {}
  await admin.putManifest(name, `doomed-${mark}`, uniqueIndex(mark), mediaTypes.ociIndex)
  return { target: `/v2/${name}/manifests/doomed-${mark}` }
}

const putManifest: Prepare = ({ name, mark }) => ({
  target: `/v2/${name}/manifests/pushed-${mark}`,
  headers: { 'content-type': mediaTypes.ociIndex },
  body: uniqueIndex(mark),
})

/** Those without a repository. */
export const plainRoutes: readonly ProtocolRoute[] = [
  ...['/livez', '/readyz', '/openapi.json'].flatMap(path => getAndHead(path, 'nothing', ok, ok)),
  ...['/v2', '/v2/', '/v2/_oci/ext/discover'].flatMap(path => getAndHead(path, 'something', ok, ok)),
  ...getAndHead('/v2/_catalog', 'catalog', ok, ok),
]

export const repositoryRoutes: readonly ProtocolRoute[] = [
  ...startRoutes('/v2/*name/blobs/uploads/'),
  ...sessionRoutes('/v2/*name/blobs/uploads/:id'),
  ...getAndHead('/v2/*name/blobs/:digest', ['pull'], ok, unknownBlob),
  route('DELETE', '/v2/*name/blobs/:digest', ['delete'], accepted, unknownBlob, deleteBlob),
  ...getAndHead('/v2/*name/manifests/:reference', ['pull'], ok, unknownManifest),
  route('PUT', '/v2/*name/manifests/:reference', ['pull', 'push'], created, created, putManifest),
  route('DELETE', '/v2/*name/manifests/:reference', ['delete'], accepted, unknownManifest, deleteManifest),
  ...getAndHead('/v2/*name/tags/list', ['pull'], ok, unknownName),
  ...getAndHead('/v2/*name/referrers/:digest', ['pull'], ok, ok),
  ...getAndHead('/v2/*name/_oci/ext/discover', ['pull'], ok, unknownName),
]

/** The other spellings of some of them. */
export const spelledRoutes: readonly ProtocolRoute[] = [
  ...startRoutes('/v2/*name/blobs/uploads'),
  ...sessionRoutes('/v2/*name/blobs/uploads/:id/'),
]

export const protocolRoutes: readonly ProtocolRoute[] = [
  ...plainRoutes,
  ...repositoryRoutes,
  ...spelledRoutes,
]
