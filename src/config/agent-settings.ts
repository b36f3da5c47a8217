import * as z from 'zod'
import { flag, positiveInteger, webUrl } from './kinds.ts'

/** How the importer's agent serves. Its unix socket is always there and needs none of this. */
export const agentServerSettings = z.strictObject({
  address: z
    .string()
    .optional()
    .describe('host:port on which the agent listens besides its socket, with TLS and a token.'),
  tlsCertificateFile: z
    .string()
    .optional()
    .describe(
      'PEM file with the certificate for that address, and those above it; read again when it changes.',
    ),
  tlsKeyFile: z
    .string()
    .optional()
    .describe('PEM file with its key, closed to others; read again when it changes.'),
  clientCaFile: z
    .string()
    .optional()
    .describe('PEM file with the authorities whose certificates clients must have, besides a token.'),
  tokenFile: z
    .string()
    .optional()
    .describe(
      'File of the tokens that clients give as Authorization: Bearer, one a line, closed to others; read again when it changes.',
    ),
  insecure: flag()
    .default(false)
    .describe('Whether that address may be without TLS: a loopback address behind a proxy, or a test.'),
  maxConnections: positiveInteger()
    .default(1024)
    .describe('Connections to the agent at once, at most, on each of socket and address; more are closed.'),
  imports: positiveInteger()
    .max(64)
    .default(4)
    .describe('Imports that run at once in each pool; others wait.'),
  rememberedImports: positiveInteger()
    .default(1000)
    .describe('Imports that have ended and can still be asked for, in each pool.'),
})

/** Which agent the commands talk to, when it is not the one on the socket of this machine. */
export const agentClientSettings = z.strictObject({
  url: webUrl('a token in tokenFile')
    .refine(
      url => !URL.canParse(url) || /^\/?$/.test(new URL(url).pathname),
      'only a host and a port, such as https://host:5002',
    )
    .optional()
    .describe(
      'https://host:port of the agent that commands talk to; without it, the one on importer.socket.',
    ),
  tokenFile: z.string().optional().describe('File whose first line is the token that commands give.'),
  caFile: z.string().optional().describe('PEM file with the authorities that sign for that agent.'),
  certificateFile: z.string().optional().describe('PEM file with the certificate of the commands.'),
  keyFile: z.string().optional().describe('PEM file with its key.'),
})
