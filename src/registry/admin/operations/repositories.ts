import * as z from 'zod'
import { flagInQuery, repositoryField, tenantField, visibilityField } from '../fields.ts'
import { adminEndpoint, nothing, pageFields } from '../operation.ts'
import { movedView, repositoryFactsView, repositoryStateView, restoredView } from '../repository-views.ts'
import { listingOf } from '../views.ts'

const one = { repository: repositoryField }
const force = z
  .boolean()
  .exactOptional()
  .describe('Whether tags that may not be changed are no obstacle. For admins only.')

/** Whole repositories. */
export const repositoryOperations = {
  'repository.list': adminEndpoint({
    method: 'GET',
    path: '/api/v1/repositories',
    summary: 'Repositories by name, of a tenant, or for admins all: those that are there, or were deleted.',
    resource: 'repository',
    input: z.strictObject({
      tenant: tenantField.exactOptional(),
      deleted: flagInQuery.exactOptional().describe('Those that were deleted and are still kept, instead.'),
      ...pageFields,
    }),
    output: listingOf(repositoryStateView),
    status: 200,
  }),
  'repository.show': adminEndpoint({
    method: 'GET',
    path: '/api/v1/repositories/*repository/facts',
    summary: 'What a repository has, one that was deleted and is still kept, too.',
    resource: 'repository',
    input: z.strictObject(one),
    output: repositoryFactsView,
    status: 200,
  }),
  'repository.delete': adminEndpoint({
    method: 'PUT',
    path: '/api/v1/repositories/*repository/deletion',
    summary: 'Deletes a repository with all that it has, which can be taken back for a while.',
    resource: 'repository',
    input: z.strictObject({ ...one, force }),
    output: movedView,
    status: 200,
    failures: ['conflict tag'],
  }),
  'repository.restore': adminEndpoint({
    method: 'POST',
    path: '/api/v1/repositories/*repository/restorations',
    summary: 'Takes a deleted repository back, with its tags as they were.',
    resource: 'repository',
    input: z.strictObject(one),
    output: restoredView,
    status: 201,
    failures: ['conflict repository'],
  }),
  'repository.purge': adminEndpoint({
    method: 'DELETE',
    path: '/api/v1/repositories/*repository/remains',
    summary: 'Lets a deleted repository go at once; nothing of it can be taken back then.',
    resource: 'repository',
    input: z.strictObject(one),
    output: nothing,
    status: 204,
    failures: ['conflict repository'],
  }),
  'repository.rename': adminEndpoint({
    method: 'PUT',
    path: '/api/v1/repositories/*repository/name',
    summary: 'Gives a repository another name, with all that it has. For owners of both tenants.',
    resource: 'repository',
    input: z.strictObject({
      ...one,
      name: repositoryField.describe('Whole new name.'),
      visibility: visibilityField
        .exactOptional()
        .describe('Who may pull it then; needed when everybody could, and could not before.'),
      force,
    }),
    output: movedView,
    status: 200,
    failures: ['already_exists repository', 'conflict repository', 'conflict tag'],
  }),
} as const
