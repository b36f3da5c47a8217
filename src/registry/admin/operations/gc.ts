import * as z from 'zod'
import { digestField } from '../fields.ts'
import { gcExplanationView, gcStatusView, gcTickView } from '../gc-views.ts'
import { adminEndpoint, nothing } from '../operation.ts'

const none = z.strictObject({})

/** The garbage collection. */
export const gcOperations = {
  'gc.status': adminEndpoint({
    method: 'GET',
    path: '/api/v1/gc',
    summary: 'Shows what has gone, what waits, and whether the garbage collection is paused.',
    resource: 'garbage',
    input: none,
    output: gcStatusView,
    status: 200,
  }),
  'gc.run': adminEndpoint({
    method: 'POST',
    path: '/api/v1/gc/runs',
    summary:
      'Collects what is due, whatever the time of day, for some seconds; asked again while the outcome is `more`, all of it.',
    resource: 'garbage',
    input: none,
    output: gcTickView,
    status: 201,
  }),
  'gc.explain': adminEndpoint({
    method: 'GET',
    path: '/api/v1/gc/explanations/:digest',
    summary:
      'Says why a blob or manifest is kept, as a path from a tag, or since when it waits and when it goes.',
    resource: 'garbage',
    input: z.strictObject({ digest: digestField }),
    output: gcExplanationView,
    status: 200,
    failures: ['invalid digest'],
  }),
  'gc.pause': adminEndpoint({
    method: 'PUT',
    path: '/api/v1/gc/pause',
    summary: 'Nothing is collected by any replica until the pause is deleted.',
    resource: 'garbage',
    input: none,
    output: gcStatusView,
    status: 200,
  }),
  'gc.resume': adminEndpoint({
    method: 'DELETE',
    path: '/api/v1/gc/pause',
    summary: 'Garbage is collected again.',
    resource: 'garbage',
    input: none,
    output: nothing,
    status: 204,
  }),
} as const
