import { LRUCache } from 'lru-cache'
import type { Abortable } from '../../abortable.ts'
import type { ImageName } from '../../reference.ts'
import { type CredentialRule, chooseRule, chooseRuleForRegistry } from './choose-credentials.ts'
import { askCredentialHelper } from './credential-helper.ts'
import type { ChosenCredentials, Credentials, RegistryCredentialStore } from './credentials.ts'
import {
  credentialsIn,
  type DockerConfig,
  type HelperCall,
  helperFor,
  parseDockerConfig,
} from './docker-config.ts'
import { SecretFile, secretIn } from './secret-file.ts'

/** How long a program's answer is used: every layer of an image would start it again. */
const helperAnswerMs = 60_000
const maxHelperAnswers = 100

/** Credentials by name: for which images they are, and where their secret is. */
export interface NamedCredentials extends CredentialRule {
  readonly secret:
    | { readonly kind: 'password'; readonly username: string; readonly file: string }
    | { readonly kind: 'identity-token'; readonly file: string }
    /** Given to the process as it is. */
    | { readonly kind: 'known'; readonly credentials: Credentials }
}

export interface ConfiguredCredentialsOptions {
  /** The first one that fits is taken. Names are unique. */
  readonly named?: readonly NamedCredentials[] | undefined
  /** Docker's `config.json`, asked for what no named ones fit. */
  readonly dockerConfigFile?: string | undefined
  /** Whether the programs are run that docker's file names (`credHelpers`, `credsStore`). */
  readonly runHelpers?: boolean | undefined
}

/** Credentials of the configuration and of docker's file. Files are read when they are needed, and again when they change. */
export class ConfiguredCredentials implements RegistryCredentialStore {
  readonly #named: readonly (CredentialRule & { readonly secret: Secret })[]
  readonly #dockerConfig: SecretFile<DockerConfig> | undefined
  readonly #runHelpers: boolean
  /** By program and server. */
  readonly #helperAnswers = new LRUCache<string, Credentials>({ max: maxHelperAnswers, ttl: helperAnswerMs })

  constructor({ named = [], dockerConfigFile, runHelpers = false }: ConfiguredCredentialsOptions = {}) {
    this.#named = named.map(rule => ({ ...rule, secret: secretOf(rule) }))
    this.#dockerConfig =
      dockerConfigFile === undefined ? undefined : new SecretFile(dockerConfigFile, parseDockerConfig)
    this.#runHelpers = runHelpers
  }

  get isEmpty(): boolean {
    return this.#named.length === 0 && this.#dockerConfig === undefined
  }

  async choose(
    image: Pick<ImageName, 'registry' | 'repository'>,
    wanted: string | undefined,
    options: Abortable = {},
  ): Promise<ChosenCredentials | undefined> {
    return await this.#chosen(chooseRule(this.#named, image, wanted), image.registry, options)
  }

  async chooseForRegistry(
    registry: string,
    wanted: string | undefined,
    options: Abortable = {},
  ): Promise<ChosenCredentials | undefined> {
    return await this.#chosen(chooseRuleForRegistry(this.#named, registry, wanted), registry, options)
  }

  confirm(registry: string, wanted: string): void {
    chooseRuleForRegistry(this.#named, registry, wanted)
  }

  /** Tries every file, for whoever starts: answers a sentence for each that cannot be used. */
  async problems(): Promise<string[]> {
    const reads = this.#named.map(async ({ secret }) => void (await secret.content()))
    const ofDocker = this.#dockerConfig?.content().then(() => {})
    const tried = await Promise.allSettled([...reads, ...(ofDocker === undefined ? [] : [ofDocker])])
    return tried.flatMap(result => (result.status === 'rejected' ? [(result.reason as Error).message] : []))
  }

  async #chosen(
    rule: (CredentialRule & { readonly secret: Secret }) | undefined,
    registry: string,
    options: Abortable,
  ): Promise<ChosenCredentials | undefined> {
    if (rule !== undefined) return { name: rule.name, credentials: await rule.secret.content() }
    const credentials = await this.#ofDocker(registry, options)
    // No rule has a name with a blank in it.
    return credentials === undefined ? undefined : { name: `of docker for ${registry}`, credentials }
  }

  /** A program comes before the file, as docker has it. */
  async #ofDocker(registry: string, options: Abortable): Promise<Credentials | undefined> {
    const config = await this.#dockerConfig?.content()
    if (config === undefined) return undefined
    const program = this.#runHelpers ? helperFor(config, registry) : undefined
    const given = program === undefined ? undefined : await this.#ask(program, options)
    return given ?? credentialsIn(config, registry)
  }

  async #ask({ helper, server }: HelperCall, options: Abortable): Promise<Credentials | undefined> {
    const key = `${helper} ${server}`
    const known = this.#helperAnswers.get(key)
    if (known !== undefined) return known
    const given = await askCredentialHelper(helper, server, options)
    if (given !== undefined) this.#helperAnswers.set(key, given)
    return given
  }
}

type Secret = Pick<SecretFile<Credentials>, 'content'>

function secretOf({ secret }: NamedCredentials): Secret {
  if (secret.kind === 'known') return { content: () => Promise.resolve(secret.credentials) }
  return new SecretFile(
    secret.file,
    (text): Credentials =>
      secret.kind === 'password'
        ? { kind: 'password', username: secret.username, password: secretIn(text) }
        : { kind: 'identity-token', token: secretIn(text) },
  )
}
