import { DomainError, type Resource } from '../../../errors.ts'
import { readBounded } from '../../bounded-body.ts'
import type { RegistryRequest } from '../../request.ts'
import { type AdminEndpoint, hasBody, pathParametersOf } from '../operation.ts'

/** Bytes, unless the operation says more. The longest is a trust policy, as a string in JSON. */
const usualMaxBody = 160 * 1024

/**
 * All that an operation is asked with: the path's parameters with the fields of the body, or of the query where there
 * is no body. Nothing is checked yet but that each is there once.
 * @throws DomainError `invalid`, `too_large`.
 */
export async function readInput(
  endpoint: AdminEndpoint,
  request: RegistryRequest,
): Promise<Record<string, unknown>> {
  const { resource, path, maxBody = usualMaxBody } = endpoint
  const fields = hasBody(endpoint)
    ? await readFields(request, maxBody, resource)
    : queryFields(request, resource)
  if (hasBody(endpoint) && request.query.size > 0)
    throw invalid(resource, 'What is asked for belongs into the body; this operation has no query.')
  const inPath = pathParametersOf(path)
  const double = inPath.find(name => Object.hasOwn(fields, name))
  if (double !== undefined)
    throw invalid(resource, `${double} is a part of the path, so it cannot be given once more.`, double)
  return { ...fields, ...Object.fromEntries(inPath.map(name => [name, request.params[name] ?? ''])) }
}

/**
 * Only with a Content-Type that web pages of others cannot send without being asked first: a browser that has the
 * password would send it along (OWASP, "Cross-Site Request Forgery Prevention", disallowing simple requests).
 */
async function readFields(request: RegistryRequest, maxBody: number, resource: Resource): Promise<object> {
  const type = request.headers['content-type'] ?? ''
  if (!/^application\/json\s*(?:;\s*charset=utf-8\s*)?$/i.test(type))
    throw invalid(resource, 'This operation takes Content-Type: application/json.', 'Content-Type')
  const bytes = await readBounded(request, maxBody, resource)
  const value = bytes.length === 0 ? {} : parse(bytes, resource)
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  throw invalid(resource, 'The body has to be a JSON object.')
}

function parse(bytes: Uint8Array, resource: Resource): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    // What stands in it is not repeated: it may be a password.
    throw invalid(resource, 'The body is not JSON in UTF-8.')
  }
}

function queryFields({ query }: RegistryRequest, resource: Resource): object {
  const names = [...query.keys()]
  const double = names.find((name, index) => names.indexOf(name) !== index)
  if (double !== undefined)
    throw invalid(resource, `${double.slice(0, 64)} is given twice.`, double.slice(0, 64))
  return Object.fromEntries(query)
}

function invalid(resource: Resource, message: string, name?: string): DomainError {
  return new DomainError('invalid', message, { resource, name })
}
