import {
  allowInsecureRequests,
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  Configuration,
  customFetch,
  None,
  type ServerMetadata,
} from 'openid-client'
import type { Abortable } from '../../../storage/abortable.ts'
import type { OpenIdProvider } from './openid-provider.ts'
import type { ProviderMetadata } from './provider-documents.ts'
import type { OpenIdClient } from './provider-options.ts'

/** All that openid-client sends goes by the provider's own transport, with its limits and authorities. */
export function clientConfiguration(
  provider: OpenIdProvider,
  { clientId, clientSecret }: OpenIdClient,
  metadata: ProviderMetadata,
  options: Abortable,
): Configuration {
  if (metadata.authorization_endpoint === undefined || metadata.token_endpoint === undefined)
    throw provider.transport.unavailable('it says of no endpoints for browsers')
  const configuration = new Configuration(
    serverMetadataOf(metadata),
    clientId,
    {},
    clientAuthOf(clientSecret, metadata.token_endpoint_auth_methods_supported),
  )
  if (new URL(provider.options.issuer).protocol === 'http:') allowInsecureRequests(configuration)
  configuration[customFetch] = async (url, { method, headers, body }) => {
    const { status, contentType, bytes } = await provider.transport.send(
      new URL(url),
      {
        method: method === 'POST' ? 'POST' : 'GET',
        headers,
        body: body === undefined || body === null ? undefined : textOf(body),
      },
      options,
    )
    return new Response(new Uint8Array(bytes), {
      status,
      headers: contentType === undefined ? {} : { 'content-type': contentType },
    })
  }
  return configuration
}

/** Without what the provider has not said. */
function serverMetadataOf(metadata: ProviderMetadata): ServerMetadata {
  const { issuer, ...rest } = metadata
  const said = Object.entries(rest).filter(([, value]) => value !== undefined)
  return { issuer, ...Object.fromEntries(said) }
}

/** Core 1.0, 9: Basic is what a provider takes that says nothing. */
function clientAuthOf(secret: string | undefined, methods: readonly string[] | undefined): ClientAuth {
  if (secret === undefined) return None()
  const isPostOnly = methods?.includes('client_secret_basic') === false
  return isPostOnly ? ClientSecretPost(secret) : ClientSecretBasic(secret)
}

function textOf(body: unknown): string {
  if (typeof body === 'string') return body
  if (body instanceof URLSearchParams) return body.toString()
  throw new Error('a form was expected')
}
