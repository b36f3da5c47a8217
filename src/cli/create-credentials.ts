import type { Config } from '../config.ts'
import {
  ConfiguredCredentials,
  type NamedCredentials,
} from '../storage/remote/credentials/configured-credentials.ts'

/** Reads no file before it is needed: the registry and the agent may be different users with one configuration. */
export function createCredentials({ importer }: Config): ConfiguredCredentials {
  return new ConfiguredCredentials({
    named: importer.credentials.map(namedCredentials),
    dockerConfigFile: importer.dockerConfigFile,
    runHelpers: importer.credentialHelpers,
  })
}

/** Who has them is of no matter: the importer's and those of `remote` are written in one way. */
export function namedCredentials({
  username = '',
  passwordFile = '',
  identityTokenFile,
  ...rule
}: Config['importer']['credentials'][number]): NamedCredentials {
  return {
    ...rule,
    secret:
      identityTokenFile === undefined
        ? { kind: 'password', username, file: passwordFile }
        : { kind: 'identity-token', file: identityTokenFile },
  }
}
