import { imageName, published } from '../../support/agent-answers.ts'

/** An endpoint of the agent, asked of one that knows one image and one clone. */
export interface AgentRow {
  readonly method: string
  /** As in the agent's table of routes. */
  readonly path: string
  /** ID stands for an import that has ended. */
  readonly target: string
  readonly body?: object
  readonly status: number
  /** Whether nobody is asked for a token. */
  readonly isOpen: boolean
}

interface More {
  readonly target?: string
  readonly body?: object
  readonly status?: number
  readonly isOpen?: boolean
}

function row(
  method: string,
  path: string,
  { target = path, status = 200, isOpen = false, body }: More = {},
): AgentRow {
  return { method, path, target, status, isOpen, ...(body === undefined ? {} : { body }) }
}

const image = { image: imageName }
const query = `?image=${encodeURIComponent(imageName)}`

const gets: readonly AgentRow[] = [
  row('GET', '/livez', { isOpen: true }),
  row('GET', '/readyz'),
  row('GET', '/metrics'),
  row('GET', '/openapi.json'),
  row('GET', '/v1'),
  row('GET', '/v1/imports'),
  row('GET', '/v1/imports/:id', { target: '/v1/imports/ID' }),
  row('GET', '/v1/imports/:id/events', { target: '/v1/imports/ID/events' }),
  row('GET', '/v1/images'),
  row('GET', '/v1/image', { target: `/v1/image${query}` }),
  row('GET', '/v1/clones'),
  row('GET', '/v1/clones/:name', { target: '/v1/clones/web1' }),
  row('GET', '/v1/history'),
  row('GET', '/v1/published'),
]

/** Where there is GET, there is HEAD. */
export const agentRows: readonly AgentRow[] = [
  ...gets,
  ...gets.map(one => ({ ...one, method: 'HEAD' })),
  row('POST', '/v1/imports', { body: { ...image, waitSeconds: 10 } }),
  row('DELETE', '/v1/imports/:id', { target: '/v1/imports/ID' }),
  row('DELETE', '/v1/images', { target: `/v1/images${query}` }),
  row('PUT', '/v1/clones/:name', { target: '/v1/clones/web1', body: image }),
  row('POST', '/v1/clones', { body: { ...image, names: ['a', 'b'] } }),
  row('DELETE', '/v1/clones/:name', { target: '/v1/clones/web1' }),
  row('POST', '/v1/prune', { body: { unusedSeconds: 1 } }),
  row('PUT', '/v1/published', { body: image }),
  row('DELETE', '/v1/published/:uuid', { target: `/v1/published/${published.uuid}` }),
]

/** What is no route of the agent: nobody is told so who has no token. */
export const strangeRows: readonly AgentRow[] = [
  row('GET', 'no route', { target: '/absent', status: 404 }),
  row('GET', 'no route', { target: '/livez/', status: 404 }),
  row('GET', 'no route', { target: '//livez', status: 404 }),
  row('PUT', 'no method', { target: '/v1/images', status: 405 }),
]
