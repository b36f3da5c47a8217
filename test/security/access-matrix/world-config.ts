import { type Config, loadConfig } from '../../../src/config.ts'
import type { OpenIdIssuer } from '../../support/openid-issuer.ts'
import type { Mode } from './expected.ts'
import { workload } from './people.ts'

/** Rows with wrong passwords are many, and none of them is about waiting. */
const manyFailures = 1_000_000

/** With every endpoint that the mode can have. */
export function configFor(mode: Mode, data: string, issuer: OpenIdIssuer): Config {
  const sub = workload.account?.split('/')[1] ?? ''
  const roles = Object.entries(workload.roles ?? {}).map(([tenant, role]) => ({
    tenant,
    role,
    when: { sub },
  }))
  const provider = {
    name: 'github',
    issuer: issuer.url,
    audiences: ['varve'],
    clientId: 'varve',
    roles,
  }
  const flags = {
    data,
    'auth.mode': mode,
    'auth.providers': mode === 'none' ? undefined : [provider],
    // Tests keep their tokens.
    'auth.accessTokenSeconds': 3600,
    'auth.maxFailures': manyFailures,
    'limits.loginsPerMinute': manyFailures,
  }
  return loadConfig({ environment: {}, flags }).config
}

/** With the endpoints for browsers, which workloads do without. */
export function serveDiscovery(issuer: OpenIdIssuer): void {
  const document = {
    issuer: issuer.url,
    jwks_uri: `${issuer.url}/jwks`,
    authorization_endpoint: `${issuer.url}/authorize`,
    token_endpoint: `${issuer.url}/token`,
  }
  issuer.answers.set('/.well-known/openid-configuration', (_, response) => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify(document))
  })
}
