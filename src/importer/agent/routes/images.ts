import { type AgentRoute, json, route } from '../route.ts'
import { noBody, poolQuery } from '../schemas/common.ts'
import { imageQuery, imageSummaries, inspectedImage, removedImage } from '../schemas/images.ts'

export const imageRoutes: readonly AgentRoute[] = [
  route({
    method: 'GET',
    path: '/v1/images',
    operation: 'image.list',
    summary: 'The images that are there.',
    query: poolQuery,
    body: noBody,
    answers: { 200: { description: 'In the order of their names.', schema: imageSummaries } },
    handle: async ({ query, signal }, { pools }) =>
      json(await pools.get(query.pool).service.images({ signal })),
  }),
  route({
    method: 'GET',
    path: '/v1/image',
    operation: 'image.get',
    summary: 'An image with its config, its layers, and what applying them did.',
    query: imageQuery,
    body: noBody,
    answers: { 200: { description: 'It.', schema: inspectedImage } },
    failures: ['not_found', 'conflict'],
    handle: async ({ query, signal }, { pools }) =>
      json(await pools.get(query.pool).service.inspect(query.image, { signal })),
  }),
  route({
    method: 'DELETE',
    path: '/v1/images',
    operation: 'image.remove',
    summary: 'Forgets an image, and removes the layers that nothing else needs.',
    query: imageQuery,
    body: noBody,
    answers: { 200: { description: 'What was removed.', schema: removedImage } },
    failures: ['not_found', 'conflict', 'busy'],
    // What changes a pool ends as it was begun, whether its client stays or not.
    handle: async ({ query }, { pools }) =>
      json(await pools.get(query.pool).service.removeImage(query.image)),
  }),
]
