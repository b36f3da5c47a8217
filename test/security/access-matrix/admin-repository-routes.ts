import { parseRepositoryName, type RepositoryName } from '../../../src/storage/reference.ts'
import { looseManifest } from '../../support/records.ts'
import {
  type AdminCall,
  type AdminRoute,
  type Asker,
  acme,
  admins,
  adminsOf,
  isOwner,
  type Lets,
  maintainers,
  members,
  owners,
  way,
} from './admin-route.ts'

/** What one row is about: nobody else's. */
const ofRow = ({ mark }: Asker): RepositoryName => parseRepositoryName(`acme/row-${mark}`)

async function filled(asker: Asker): Promise<RepositoryName> {
  const repository = ofRow(asker)
  await asker.world.metadata.putManifest(repository, looseManifest(asker.mark, 'latest'))
  return repository
}

async function deleted(asker: Asker): Promise<RepositoryName> {
  const repository = await filled(asker)
  await asker.world.metadata.deleteRepository(repository)
  return repository
}

const at = (repository: string, body?: object): AdminCall => ({
  parameters: { repository },
  ...(body === undefined ? {} : { body }),
})

/** Of both tenants. Who owns only the first may learn nothing of the other one. */
const ownersOfBoth =
  (other: string): Lets =>
  person => {
    const first = owners(person)
    if (first !== 'yes' || person.isAdmin === true) return first
    if (person.roles?.[other] === undefined) return 'hidden'
    return isOwner(person, other) ? 'yes' : 'no'
  }

/** Whole repositories. */
export const wholeRepositoryRoutes: readonly AdminRoute[] = [
  way('GET', '/api/v1/repositories', admins, { what: 'of all tenants' }),
  way('GET', '/api/v1/repositories', members, {
    what: 'of one tenant',
    prepare: () => ({ query: `?tenant=${acme}` }),
  }),
  way('GET', '/api/v1/repositories', members, {
    what: 'that were deleted',
    prepare: () => ({ query: `?tenant=${acme}&deleted=true` }),
  }),
  way('GET', '/api/v1/repositories/*repository/facts', members, {
    prepare: async asker => at(await filled(asker)),
  }),
  way('GET', '/api/v1/repositories/*repository/facts', members, {
    what: 'that was deleted',
    prepare: async asker => at(await deleted(asker)),
  }),
  way('PUT', '/api/v1/repositories/*repository/deletion', maintainers, {
    prepare: async asker => at(await filled(asker), {}),
  }),
  way('PUT', '/api/v1/repositories/*repository/deletion', adminsOf(acme), {
    what: 'with immutable tags',
    prepare: async asker => at(await filled(asker), { force: true }),
  }),
  way('POST', '/api/v1/repositories/*repository/restorations', maintainers, {
    status: 201,
    prepare: async asker => at(await deleted(asker), {}),
  }),
  way('DELETE', '/api/v1/repositories/*repository/remains', owners, {
    status: 204,
    prepare: async asker => at(await deleted(asker)),
  }),
  way('PUT', '/api/v1/repositories/*repository/name', owners, {
    prepare: async asker => at(await filled(asker), { name: `acme/renamed-${asker.mark}` }),
  }),
  way('PUT', '/api/v1/repositories/*repository/name', adminsOf(acme), {
    what: 'with immutable tags',
    prepare: async asker => at(await filled(asker), { name: `acme/renamed-${asker.mark}`, force: true }),
  }),
  way('PUT', '/api/v1/repositories/*repository/name', ownersOfBoth('other'), {
    what: 'into another tenant',
    prepare: async asker => at(await filled(asker), { name: `other/renamed-${asker.mark}` }),
  }),
]
