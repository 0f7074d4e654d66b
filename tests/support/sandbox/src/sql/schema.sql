-- The server's tables, as psql prints them for a real one. created and modified have no default
-- there, and source has no index on hash or size: a stand-in must not be kinder.

create type "BOOKSHELF_ITEM_TYPE" as enum ('EBOOK', 'SERIES');
create type "CONVERSION_BATCH_ENTITY" as enum ('SERIES', 'AUTHOR', 'EBOOK', 'SOURCE', 'BOOKSHELF');

create table role (
    id bigserial primary key,
    version_id integer not null,
    name varchar(64) not null,
    parent_id bigint references role (id)
);

create table "user" (
    id bigserial primary key,
    version_id integer not null,
    created timestamp not null,
    modified timestamp not null,
    user_name varchar(128) not null unique,
    email varchar(128) not null unique,
    password varchar(128) not null,
    active boolean,
    preferences json,
    created_by_id bigint references "user" (id),
    modified_by_id bigint references "user" (id)
);
create index ix_user_modified on "user" (modified);

create table user_roles (
    user_id bigint not null references "user" (id) on delete cascade,
    role_id bigint not null references role (id),
    primary key (user_id, role_id)
);
create index ix_user_roles_user_id on user_roles (user_id);
create index ix_user_roles_role_id on user_roles (role_id);

create table format (
    id bigserial primary key,
    version_id integer not null,
    mime_type varchar(128) not null,
    name varchar(64) not null,
    extension varchar(8) not null unique
);

create table language (
    id bigserial primary key,
    version_id integer not null,
    code varchar(6) not null unique,
    name varchar(64) not null
);

create table genre (
    id bigserial primary key,
    version_id integer not null,
    name varchar(64) not null unique
);

create table synonym (
    id bigserial primary key,
    version_id integer not null,
    other_name varchar(512) not null,
    our_name varchar(512) not null,
    category varchar(3) not null
);

create table version (
    id bigserial primary key,
    version_id integer not null,
    version integer
);

create table author (
    id bigserial primary key,
    version_id integer not null,
    created timestamp not null,
    modified timestamp not null,
    last_name varchar(128) not null,
    first_name varchar(128),
    description text,
    created_by_id bigint references "user" (id),
    modified_by_id bigint references "user" (id)
);
create index ix_author_modified on author (modified);

create table series (
    id bigserial primary key,
    version_id integer not null,
    created timestamp not null,
    modified timestamp not null,
    title varchar(256) not null,
    rating double precision,
    rating_count integer,
    description text,
    created_by_id bigint references "user" (id),
    modified_by_id bigint references "user" (id)
);
create index ix_series_modified on series (modified);
create index ix_series_title on series (title);

create table ebook (
    id bigserial primary key,
    version_id integer not null,
    created timestamp not null,
    modified timestamp not null,
    title varchar(256) not null,
    description text,
    language_id bigint not null references language (id),
    series_id bigint references series (id),
    series_index integer,
    rating double precision,
    rating_count integer,
    downloads integer,
    cover varchar(512),
    base_dir varchar(512) not null,
    full_text tsvector,
    created_by_id bigint references "user" (id),
    modified_by_id bigint references "user" (id)
);
create index full_text_search_idx on ebook using gin (full_text);
create index ix_ebook_modified on ebook (modified);
create index ix_ebook_series_id on ebook (series_id);
create index ix_ebook_title on ebook (title);

create table ebook_authors (
    ebook_id bigint not null references ebook (id) on delete cascade,
    author_id bigint not null references author (id) on delete cascade,
    primary key (ebook_id, author_id)
);
create index ix_ebook_authors_author_id on ebook_authors (author_id);
create index ix_ebook_authors_ebook_id on ebook_authors (ebook_id);

create table ebook_genres (
    ebook_id bigint not null references ebook (id) on delete cascade,
    genre_id bigint not null references genre (id) on delete cascade,
    primary key (ebook_id, genre_id)
);
create index ix_ebook_genres_ebook_id on ebook_genres (ebook_id);
create index ix_ebook_genres_genre_id on ebook_genres (genre_id);

create table source (
    id bigserial primary key,
    version_id integer not null,
    created timestamp not null,
    modified timestamp not null,
    ebook_id bigint not null references ebook (id) on delete cascade,
    location varchar(512) not null,
    load_source varchar(256),
    format_id bigint not null references format (id),
    size integer not null,
    hash varchar(128) not null,
    quality double precision,
    quality_count integer,
    created_by_id bigint references "user" (id),
    modified_by_id bigint references "user" (id)
);
create index ix_source_modified on source (modified);

create table upload (
    id bigserial primary key,
    version_id integer not null,
    created timestamp not null,
    modified timestamp not null,
    cover varchar(512),
    file varchar(512) not null,
    load_source varchar(256),
    format_id bigint not null references format (id),
    size integer not null,
    hash varchar(128) not null,
    meta json,
    created_by_id bigint references "user" (id),
    modified_by_id bigint references "user" (id)
);
create index ix_upload_modified on upload (modified);

create table bookshelf (
    id bigserial primary key,
    version_id integer not null,
    created timestamp not null,
    modified timestamp not null,
    name varchar(256) not null,
    description text,
    public boolean,
    rating double precision,
    rating_count integer,
    created_by_id bigint references "user" (id),
    modified_by_id bigint references "user" (id)
);
create index ix_bookshelf_modified on bookshelf (modified);
create index ix_bookshelf_name on bookshelf (name);

create table bookshelf_item (
    id bigserial primary key,
    version_id integer not null,
    created timestamp not null,
    modified timestamp not null,
    type "BOOKSHELF_ITEM_TYPE" not null,
    bookshelf_id bigint not null references bookshelf (id),
    ebook_id bigint references ebook (id),
    series_id bigint references series (id),
    "order" integer,
    note text,
    created_by_id bigint references "user" (id),
    modified_by_id bigint references "user" (id)
);
create index ix_bookshelf_item_modified on bookshelf_item (modified);

create table bookshelf_rating (
    id bigserial primary key,
    version_id integer not null,
    created timestamp not null,
    modified timestamp not null,
    bookshelf_id bigint not null references bookshelf (id),
    rating double precision,
    description text,
    created_by_id bigint references "user" (id),
    modified_by_id bigint references "user" (id)
);
create index ix_bookshelf_rating_modified on bookshelf_rating (modified);

create table ebook_rating (
    id bigserial primary key,
    version_id integer not null,
    created timestamp not null,
    modified timestamp not null,
    ebook_id bigint not null references ebook (id),
    rating double precision,
    description text,
    created_by_id bigint references "user" (id),
    modified_by_id bigint references "user" (id)
);
create index ix_ebook_rating_modified on ebook_rating (modified);

create table series_rating (
    id bigserial primary key,
    version_id integer not null,
    created timestamp not null,
    modified timestamp not null,
    series_id bigint not null references series (id),
    rating double precision,
    description text,
    created_by_id bigint references "user" (id),
    modified_by_id bigint references "user" (id)
);
create index ix_series_rating_modified on series_rating (modified);

create table source_quality (
    id bigserial primary key,
    version_id integer not null,
    created timestamp not null,
    modified timestamp not null,
    source_id bigint not null references source (id),
    quality double precision,
    description text,
    created_by_id bigint references "user" (id),
    modified_by_id bigint references "user" (id)
);
create index ix_source_quality_modified on source_quality (modified);

create table conversion_batch (
    id bigserial primary key,
    version_id integer not null,
    created timestamp not null,
    modified timestamp not null,
    name varchar(100) not null,
    for_entity "CONVERSION_BATCH_ENTITY",
    entity_id bigint,
    format_id bigint not null references format (id),
    zip_location varchar(512),
    created_by_id bigint references "user" (id),
    modified_by_id bigint references "user" (id)
);
create index ix_conversion_batch_modified on conversion_batch (modified);

create table conversion (
    id bigserial primary key,
    version_id integer not null,
    created timestamp not null,
    modified timestamp not null,
    batch_id bigint references conversion_batch (id),
    source_id bigint not null references source (id),
    location varchar(512) not null,
    format_id bigint not null references format (id),
    created_by_id bigint references "user" (id),
    modified_by_id bigint references "user" (id)
);
create index ix_conversion_modified on conversion (modified);
