import * as z from 'zod'
import { digestField, repositoryField, tagField } from '../fields.ts'
import { deletedManifestView, restoredTagView, tagChangeView, tagView } from '../history-views.ts'
import { adminEndpoint, nothing, pageFields } from '../operation.ts'
import { listingOf } from '../views.ts'

const one = { repository: repositoryField }
const oneTag = { ...one, tag: tagField }
const oneManifest = { ...one, digest: digestField }

/**
 * Tags, what they named before, and what was deleted. A repository's name may have any words in it, so the last word of
 * each path is one that no other path of a repository has.
 */
export const historyOperations = {
  'tag.list': adminEndpoint({
    method: 'GET',
    path: '/api/v1/repositories/*repository/tags',
    summary: 'Tags of a repository by name, with what they name.',
    resource: 'repository',
    input: z.strictObject({ ...one, ...pageFields }),
    output: listingOf(tagView),
    status: 200,
  }),
  'tag.history': adminEndpoint({
    method: 'GET',
    path: '/api/v1/repositories/*repository/tags/:tag/history',
    summary: 'What a tag named when, newest first.',
    resource: 'tag',
    input: z.strictObject({ ...oneTag, ...pageFields }),
    output: listingOf(tagChangeView),
    status: 200,
  }),
  'tag.restore': adminEndpoint({
    method: 'POST',
    path: '/api/v1/repositories/*repository/tags/:tag/restorations',
    summary:
      'Sets a tag to what it named before its last change, or to what it named once; a manifest that was deleted comes back.',
    resource: 'tag',
    input: z.strictObject({ ...oneTag, digest: digestField.exactOptional() }),
    output: restoredTagView,
    status: 201,
    failures: ['conflict tag', 'conflict repository'],
  }),
  'tag.delete': adminEndpoint({
    method: 'DELETE',
    path: '/api/v1/repositories/*repository/tags/:tag/target',
    summary: 'Deletes a tag; its manifest stays for the time in which the tag can be restored, at least.',
    resource: 'tag',
    input: z.strictObject(oneTag),
    output: nothing,
    status: 204,
    failures: ['conflict tag'],
  }),
  'manifest.deleted': adminEndpoint({
    method: 'GET',
    path: '/api/v1/repositories/*repository/deleted-manifests',
    summary: 'Deleted manifests that can be taken back, those deleted last first.',
    resource: 'repository',
    input: z.strictObject({ ...one, ...pageFields }),
    output: listingOf(deletedManifestView),
    status: 200,
    failures: ['invalid manifest'],
  }),
  'manifest.restore': adminEndpoint({
    method: 'PUT',
    path: '/api/v1/repositories/*repository/deleted-manifests/:digest/restoration',
    summary: 'Brings a deleted manifest back, with what of an index was deleted, without tags.',
    resource: 'manifest',
    input: z.strictObject(oneManifest),
    output: nothing,
    status: 204,
    failures: ['invalid digest', 'conflict repository'],
  }),
  'manifest.purge': adminEndpoint({
    method: 'DELETE',
    path: '/api/v1/repositories/*repository/deleted-manifests/:digest/content',
    summary: 'Lets a deleted manifest go at once, and what only it names; it cannot be taken back then.',
    resource: 'manifest',
    input: z.strictObject(oneManifest),
    output: nothing,
    status: 204,
    failures: ['invalid digest', 'conflict manifest'],
  }),
} as const
