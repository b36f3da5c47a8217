import * as z from 'zod'
import { flag, fromJson, list, positiveInteger, webUrl } from './kinds.ts'

const provider = z.strictObject({
  /** First part of the names of its accounts: `github` makes `github/octo-org/app`. Never change it. */
  name: z
    .string()
    .regex(/^[a-z0-9]+(?:[._-]+[a-z0-9]+)*$/, 'lower-case letters and digits, and . _ - between them'),
  /** Compared exactly with `iss`; its keys are found by OpenID Connect Discovery. */
  issuer: webUrl('clientSecretFile has the secret'),
  /** One of them has to be in `aud`. */
  audiences: z.array(z.string().min(1)).min(1),
  /** Claim that, after the name, is the account's name. */
  accountClaim: z.string().min(1).default('sub'),
  /** Claims that a token has to have, with patterns for their values (`*` is any part of a segment, `**` any part). */
  require: z.record(z.string(), z.string()).default({}),
  /** Who is what in which tenant: all that fit count. */
  roles: z
    .array(
      z.strictObject({
        tenant: z.string().min(1),
        role: z.enum(['guest', 'developer', 'maintainer', 'owner']),
        /** Claims with patterns, all of which have to fit; a claim that is a list fits when one of its values does. */
        when: z.record(z.string(), z.string()).default({}),
      }),
    )
    .default([]),
  /** PEM file with the authorities that sign for the issuer, beside the usual ones. */
  caFile: z.string().optional(),
  /** For people who log in with a browser: the client at the provider. Without it only tokens are taken. */
  clientId: z.string().optional(),
  clientSecretFile: z.string().optional(),
  scopes: z.array(z.string()).default(['openid', 'profile', 'email']),
})

export type ProviderSettings = z.output<typeof provider>

/** Who may do what. */
export const authSettings = z.strictObject({
  mode: z
    .enum(['none', 'token', 'basic'])
    .default('none')
    .describe(
      'none: everybody may do everything, which is refused on an address that others reach unless auth.open is set; token: the token service, which all clients know; basic: passwords with every request, and no anonymous docker pull.',
    ),
  open: flag()
    .default(false)
    .describe('Whether auth.mode none is meant on an address that other machines reach.'),
  service: z
    .string()
    .regex(/^[A-Za-z0-9._:-]{1,128}$/, 'up to 128 letters, digits and . _ : -')
    .default('varve')
    .describe('Name of this registry in tokens and challenges; the same for all replicas.'),
  realm: webUrl()
    .optional()
    .describe(
      'URL of the token service as clients reach it, such as https://registry.example.com/token; made from each request’s own host unless given. With auth.external: that of the other token service.',
    ),
  anonymous: flag().default(true).describe('Whether those without an account may pull what is public.'),
  accessTokenSeconds: positiveInteger()
    .min(60)
    .max(86_400)
    .default(300)
    .describe('How long an access token is good; docker takes less than 60 for 60.'),
  keyRotationDays: positiveInteger()
    .default(30)
    .describe(
      'Age at which the key that tokens are signed with is replaced; tokens of the old one stay good.',
    ),
  htpasswdFile: z
    .string()
    .optional()
    .describe(
      'File of NAME:HASH lines (bcrypt: htpasswd -B), closed to others for writing; read again when it changes.',
    ),
  providers: z.preprocess(fromJson, z.array(provider)).default([]).meta({
    description:
      'OpenID providers for workloads and people: name, issuer, audiences, accountClaim, require (claim: pattern), roles (tenant, role, when), caFile, clientId, clientSecretFile, scopes. A list; JSON in the environment.',
  }),
  external: z.strictObject({
    issuer: z
      .string()
      .optional()
      .describe('`iss` of the tokens of another token service, which is used instead of our own.'),
    jwksFile: z.string().optional().describe('Its public keys (RFC 7517); read again when it changes.'),
    jwksUrl: webUrl().optional().describe('Where its public keys are, instead of in a file.'),
  }),
  clientCertificates: z.strictObject({
    caFile: z
      .string()
      .optional()
      .describe('PEM file with the authorities whose client certificates stand for accounts.'),
    required: flag().default(false).describe('Whether connections without such a certificate are refused.'),
    account: z
      .enum(['cn', 'email', 'dns', 'uri'])
      .default('cn')
      .describe(
        'What of the certificate is the account: the common name, or the first alternative name of that kind.',
      ),
  }),
  maxFailures: positiveInteger()
    .default(5)
    .describe(
      'Wrong passwords for an account, from one address, before the next one has to wait, twice as long each time.',
    ),
  maxDelaySeconds: positiveInteger().default(900).describe('The longest that such a wait gets.'),
  admins: list().describe('Accounts that may do everything, beside those that the database calls so.'),
})

/** What one client or tenant may take of the registry. */
export const limitsSettings = z.strictObject({
  requestsPerSecond: z.coerce
    .number()
    .nonnegative()
    .default(0)
    .describe(
      'Requests of one account, or of one address where there is no account, on average; 0 for no limit. 429 beyond.',
    ),
  requestBurst: positiveInteger()
    .default(200)
    .describe('Requests that may come at once before that average counts.'),
  loginsPerMinute: positiveInteger()
    .default(6000)
    .describe('Requests to the token service from one address, on average.'),
  bytesPerSecond: z.coerce
    .number()
    .int()
    .nonnegative()
    .default(0)
    .describe(
      'Bytes a second, in each direction, of one account, or of one address where there is no account; 0 for no limit.',
    ),
  uploads: z.coerce
    .number()
    .int()
    .nonnegative()
    .default(0)
    .describe(
      'Uploads of one account, or of one address, whose bytes are being received at once; 0 for no limit. 429 beyond.',
    ),
})

/** Who did what. */
export const auditSettings = z.strictObject({
  file: z
    .string()
    .optional()
    .describe(
      'File to which every entry is appended as a line of JSON, besides the table; opened anew on SIGHUP or when it was moved.',
    ),
  pulls: flag()
    .default(false)
    .describe('Whether pulls that were allowed are kept as well; what was denied always is.'),
  retentionDays: positiveInteger().default(365).describe('How long entries are kept in the table.'),
})
