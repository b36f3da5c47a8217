import { type Compilable, type CompiledQuery, type Kysely, type RawBuilder, sql } from 'kysely'
import type { Schema } from './schema.ts'

/** Gives the expression that stands, in a query that is being built, for the value of this name. */
export type Placeholders<Values> = <Name extends keyof Values & string>(
  name: Name,
) => RawBuilder<Values[Name]>

/**
 * A query that is built and compiled once, and then run with other values each time. Building and compiling one
 * costs as much as SQLite needs to find a row by its key.
 */
export class PreparedQuery<Values extends Readonly<Record<string, unknown>>, Row> {
  readonly #compiled: CompiledQuery<Row>

  /** @throws when a placeholder was asked for and is not in the query: what it stands for would be lost. */
  constructor(build: (placeholder: Placeholders<Values>) => Compilable<Row>) {
    const asked: Placeholder[] = []
    this.#compiled = build(<Name extends keyof Values & string>(name: Name) => {
      const placeholder = new Placeholder(name)
      asked.push(placeholder)
      return sql<Values[Name]>`${placeholder}`
    }).compile()
    const { parameters } = this.#compiled
    const lost = asked.filter(placeholder => !parameters.includes(placeholder))
    if (lost.length > 0)
      throw new Error(
        `${lost.map(({ name }) => name).join(', ')} did not get into the query ${this.#compiled.sql}`,
      )
  }

  /** The first row, if there is one. @param db the database that the query was built for, or a transaction of it. */
  async takeFirst(db: Kysely<Schema>, values: Values): Promise<Row | undefined> {
    const rows = await this.takeAll(db, values)
    return rows[0]
  }

  /** @param db the database that the query was built for, or a transaction of it. */
  async takeAll(db: Kysely<Schema>, values: Values): Promise<Row[]> {
    const { rows } = await db.executeQuery<Row>({
      ...this.#compiled,
      parameters: this.#compiled.parameters.map(parameter =>
        parameter instanceof Placeholder ? values[parameter.name] : parameter,
      ),
    })
    return rows
  }
}

/** Passes through the compiler as any value would, and is found again by its identity. */
class Placeholder {
  readonly name: string

  constructor(name: string) {
    this.name = name
  }
}
