-- Search: English stemming without diacritics. The real server takes the extension unaccent;
-- where it is not installed a function of the same name does what European letters need.

do $$
begin
    if exists (select from pg_available_extensions where name = 'unaccent') then
        create extension if not exists unaccent;
    else
        create function unaccent(input text) returns text language sql immutable as $f$
            select translate(regexp_replace(normalize(input, NFKD), '[\u0300-\u036f]', '', 'g'),
                'øØłŁđĐðÐþÞı', 'oOlLdDdDtTi')
        $f$;
    end if;
    if not exists (select from pg_ts_config where cfgname = 'custom') then
        create text search configuration custom (copy = english);
    end if;
    if exists (select from pg_ts_dict where dictname = 'unaccent') then
        alter text search configuration custom
            alter mapping for hword, hword_part, word with unaccent, english_stem;
    end if;
end
$$;

-- "First Last, First Last: Title (Series 3)"
create function full_title_of(book bigint) returns text language sql stable as $$
    select coalesce(names.list, '') || ': ' || ebook.title
        || coalesce(' (' || series.title || ' ' || coalesce(ebook.series_index, 0) || ')', '')
    from ebook
    left join series on series.id = ebook.series_id
    left join lateral (
        select string_agg(concat_ws(' ', author.first_name, author.last_name), ', ') as list
        from ebook_authors join author on author.id = ebook_authors.author_id
        where ebook_authors.ebook_id = ebook.id
    ) names on true
    where ebook.id = book
$$;

create function index_full_text(book bigint) returns void language sql as $$
    update ebook set full_text = to_tsvector('custom', unaccent(full_title_of(book)))
    where id = book
$$;

create function update_ebook_full_text() returns trigger language plpgsql as $$
begin
    perform index_full_text(new.id);
    return null;
end
$$;

create function update_ebook_full_text2() returns trigger language plpgsql as $$
begin
    perform index_full_text(case when tg_op = 'DELETE' then old.ebook_id else new.ebook_id end);
    return null;
end
$$;

create function update_ebook_full_text3() returns trigger language plpgsql as $$
begin
    perform index_full_text(id) from ebook where series_id = new.id;
    return null;
end
$$;

create function update_ebook_full_text4() returns trigger language plpgsql as $$
begin
    perform index_full_text(ebook_id) from ebook_authors where author_id = new.id;
    return null;
end
$$;

create trigger ebook_ts_insert after insert on ebook
    for each row execute function update_ebook_full_text();
create trigger ebook_ts_update after update on ebook
    for each row when (
        new.title <> old.title
        or new.series_id <> old.series_id
        or new.series_id is null and old.series_id is not null
        or new.series_id is not null and old.series_id is null
    ) execute function update_ebook_full_text();
create trigger ebook_ts_update after insert or delete or update on ebook_authors
    for each row execute function update_ebook_full_text2();
create trigger ebook_ts_update after update on series
    for each row execute function update_ebook_full_text3();
create trigger ebook_ts_update after update on author
    for each row execute function update_ebook_full_text4();

-- The roles of a user with all the roles below them.
create function user_roles(user_id bigint) returns table (role varchar) language sql stable as $$
    with recursive held as (
        select role.name, role.parent_id
        from role join user_roles on user_roles.role_id = role.id
        where user_roles.user_id = $1
        union
        select below.name, below.parent_id
        from role below join held on held.parent_id = below.id
    )
    select name from held
$$;
