-- What a fresh server comes with. Three mime types end with a blank, as there.

insert into role (version_id, name, parent_id) values
    (1, 'guest', null), (1, 'user', 1), (1, 'trusted_user', 2), (1, 'superuser', 3), (1, 'admin', 4);

insert into format (version_id, mime_type, name, extension) values
    (1, 'application/pdf', 'PDF document', 'pdf'),
    (1, 'text/plain', 'Plain text document', 'txt'),
    (1, 'application/x-aportisdoc', 'Palm Document', 'pdb'),
    (1, 'application/rtf', 'RTF Document', 'rtf'),
    (1, 'application/msword', 'MS Word Document', 'doc'),
    (1, 'application/x-mobipocket-ebook', 'Mobipocket Ebook', 'mobi'),
    (1, 'application/vnd.palm ', 'Palm/Mobipocket Document', 'prc'),
    (1, 'application/epub+zip', 'Open Publication Structure eBook', 'epub'),
    (1, 'application/vnd.oasis.opendocument.text ', 'OpenOffice Document', 'odt'),
    (1, 'image/vnd.djvu', 'DJVU Document', 'djvu'),
    (1, 'text/html', 'HTML File', 'html'),
    (1, 'text/html', 'HTML', 'htm'),
    (1, 'application/octet-stream', 'Compiled HTML', 'chm'),
    (1, 'application/x-ms-reader ', 'MS Reader Ebook', 'lit'),
    (1, 'application/x-fictionbook+xml', 'Fiction Book 2', 'fb2'),
    (1, 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
        'MS Word XML document', 'docx'),
    (1, 'application/x-mobi8-ebook', 'Amazon KF8 eBook File', 'azw3');

insert into language (version_id, code, name) values
    (1, 'cs', 'Czech'), (1, 'en', 'English'), (1, 'sk', 'Slovak'), (1, 'ru', 'Russian');

insert into synonym (version_id, other_name, our_name, category) values
    (1, 'eng', 'en', 'LNG'), (1, 'ces', 'cs', 'LNG'), (1, 'slk', 'sk', 'LNG'),
    (1, 'Sci-Fi', 'Science Fiction', 'GNR'),
    (1, 'Humor', 'Humor/Satire', 'GNR'), (1, 'Satire', 'Humor/Satire', 'GNR');

insert into version (version_id, version) values (1, 1);

insert into genre (version_id, name)
select 1, name from unnest(array[
    'Adventure', 'Biography', 'Business', 'Children', 'Computers', 'Cooking', 'Crime', 'Drama',
    'Essays', 'Fables', 'Fantasy', 'Fiction', 'History', 'Humor/Satire', 'Health', 'Horror',
    'Languages', 'Law', 'Letters', 'Magazines', 'Mathematics', 'Medicine', 'Memoirs', 'Music',
    'Mystery', 'Mythology', 'Nature', 'Novels', 'Occult', 'Painting', 'Parenting', 'Philosophy',
    'Photography', 'Plays', 'Poetry', 'Politics', 'Psychology', 'Reference', 'Religion', 'Romance',
    'Satirical Verse', 'Science', 'Science Fiction', 'Short Stories', 'Sociology', 'Space Opera',
    'Sports', 'Spy Stories', 'Steampunk', 'Technology', 'Textbooks', 'Thriller', 'Travel',
    'True Crime', 'War', 'Westerns', 'Young Adult'
]) with ordinality as list (name, place) order by place;
