import type { Handler } from '../handler.ts'
import { openApiDocument } from '../openapi/document.ts'
import { json } from '../reply.ts'

/** GET /openapi.json: this interface, described. */
export function createOpenApiHandler(): Handler {
  const reply = json(200, openApiDocument())
  return () => reply
}
