/** SQLite has no booleans (sqlite.org/datatype3.html, 2.1), and `node:sqlite` binds none. */
export type Flag = 0 | 1
