import type { Abortable } from '../abortable.ts'
import type { Database } from './database.ts'
import type { SettingName, SettingRecords } from './setting-records.ts'

export class KyselySettings implements SettingRecords {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  agreeOn(name: SettingName, proposed: string, options?: Abortable): Promise<string> {
    return this.#database.write(options, async db => {
      // Waits for another one who proposes at the same time, whose value the next statement then sees.
      await db
        .insertInto('settings')
        .values({ name, value: proposed })
        .onConflict(conflict => conflict.column('name').doNothing())
        .execute()
      const { value } = await db
        .selectFrom('settings')
        .select('value')
        .where('name', '=', name)
        .executeTakeFirstOrThrow()
      return value
    })
  }
}
