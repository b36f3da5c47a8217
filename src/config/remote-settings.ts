import * as z from 'zod'
import { credentialsOf, registryHost } from './credentials-settings.ts'
import { flag, list, webUrl } from './kinds.ts'

const error = 'not a range of addresses, such as 10.0.0.0/8 or fd00::/8'
const addressRange = z.union([z.cidrv4(), z.cidrv6(), z.ipv4(), z.ipv6()], { error })
/** What looks like a range has to be one. */
const passedBy = z.union([z.cidrv4(), z.cidrv6(), z.string().regex(/^[^/]+$/)], { error })

/** Registries elsewhere, for mirroring, pull-through and `varve copy`. The importer has its own settings, but for `privateRedirects`. */
export const remoteSettings = z.strictObject({
  credentials: credentialsOf('A mirror job, an upstream or a copy may name them'),
  dockerConfigFile: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Docker's config.json: its credentials are used for what none of remote.credentials fits. Read again when it changes.",
    ),
  credentialHelpers: flag()
    .default(false)
    .describe(
      "Whether the programs are run that docker's file names for its credentials (credHelpers, credsStore).",
    ),
  plainHttp: list()
    .pipe(z.array(registryHost))
    .describe(
      'Registries (host:port) to speak plain HTTP to; loopback always is. Comma-separated or a list.',
    ),
  caFile: z
    .string()
    .min(1)
    .optional()
    .describe('PEM file with certificates that are trusted beside those that are anyway. Read at the start.'),
  proxy: webUrl('give proxyCredentialsFile')
    .optional()
    .describe('URL of the HTTP proxy by which registries are reached.'),
  proxyCredentialsFile: z
    .string()
    .min(1)
    .optional()
    .describe('File with user:password for the proxy. Read at the start.'),
  noProxy: list()
    .pipe(z.array(passedBy))
    .describe(
      'What is reached without the proxy: hosts (and all below them), .suffixes, addresses, CIDR, or * for everything. Comma-separated or a list.',
    ),
  privateRedirects: list()
    .pipe(z.array(addressRange))
    .describe(
      'Addresses (CIDR) of private networks where a registry outside of them may send us to: by a redirect, for tokens, or for uploads. The importer keeps to it as well. Comma-separated or a list.',
    ),
})
